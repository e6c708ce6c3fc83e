"""An owner leaves: the seat first, then the stake, each when it is due."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nesa.chain.contracts import ZERO_ADDRESS, SeatRecord
from nesa.chain.leaving import NO_END, Terms
from nesa.protocol.ids import ONE_NES, Epoch, Seconds
from nesa_miner import cli
from scripts.deployment.profiles import DEVNET
from tests.miner.operating.miner import OwnedMiner

Capture = pytest.CaptureFixture[str]
SEAT_STAKE = 1_000 * ONE_NES
WAIT = DEVNET.unbonding_seconds + 2 * DEVNET.epoch_seconds


def run(miner: OwnedMiner, capsys: Capture, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.main([words[0], "--dir", str(miner.folder), *words[1:], "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def place(miner: OwnedMiner, shard: int = 0) -> list[str]:
    return ["--version", f"0x{miner.network.version_id.hex()}", "--shard", str(shard)]


@pytest.fixture
def seated(miner: OwnedMiner) -> OwnedMiner:
    """A miner with an active seat and 500 NES of free stake."""
    miner.pay()
    assert miner.register(0, "--stake", "1500") == 0
    miner.network.pass_time(DEVNET.epoch_seconds + 1)
    return miner


@pytest.mark.parametrize(("begins", "ends", "released"), [(3, NO_END, None), (3, 5, 57), (5, 5, 0)])
def test_a_seat_is_released_after_its_last_query(
    begins: int, ends: int, released: int | None
) -> None:
    seat = SeatRecord(ZERO_ADDRESS, ZERO_ADDRESS, Epoch(begins), Epoch(ends))
    assert Terms(Seconds(10), Seconds(7)).released_at(seat) == released


@pytest.mark.parametrize(("ends", "drawn_until"), [(5, 50), (3, 0)])
def test_a_seat_that_never_began_is_never_drawn(ends: int, drawn_until: int) -> None:
    seat = SeatRecord(ZERO_ADDRESS, ZERO_ADDRESS, Epoch(3), Epoch(ends))
    assert Terms(Seconds(10), Seconds(7)).drawn_until(seat) == drawn_until


def test_a_seat_is_left_and_its_stake_comes_back(seated: OwnedMiner, capsys: Capture) -> None:
    left = run(seated, capsys, "leave", *place(seated))
    assert left["locked_until"] == left["drawn_until"] + DEVNET.unbonding_seconds
    assert run(seated, capsys, "leave", *place(seated)) == left
    early = run(seated, capsys, "withdraw")
    assert (early["released_seats"], early["paid"]) == (0, 0)
    assert (early["locked"], early["next_release"]) == (SEAT_STAKE, left["locked_until"])
    seated.network.pass_time(WAIT)
    thawing = run(seated, capsys, "unstake")
    assert (thawing["released_seats"], thawing["unbonding"]) == (1, 1_500 * ONE_NES)
    seated.network.pass_time(WAIT)
    done = run(seated, capsys, "withdraw")
    assert (done["paid"], done["stake"]) == (1_500 * ONE_NES, 0)
    owned = seated.network.read("token", "balance_of", seated.owner.address)
    assert owned == 2_000 * ONE_NES


def test_a_seat_moves_to_another_shard_when_the_old_one_is_released(
    seated: OwnedMiner, capsys: Capture
) -> None:
    assert seated.register(1) == 1
    assert "or move: `nesa-miner leave`" in " ".join(capsys.readouterr().err.split())
    run(seated, capsys, "leave", *place(seated))
    assert seated.register(1) == 1  # a query that drew the old seat may still need it
    seated.network.pass_time(WAIT)
    assert run(seated, capsys, "withdraw")["released_seats"] == 1
    assert seated.register(1) == 0
    seat = seated.network.read("vault", "seat_of", seated.network.version_id, seated.owner.address)
    assert seat[0] == 1
    ledger = seated.network.read("vault", "ledger", seated.owner.address)
    assert (ledger.stake, ledger.locked) == (1_500 * ONE_NES, SEAT_STAKE)


def test_a_part_of_the_free_stake_thaws(seated: OwnedMiner, capsys: Capture) -> None:
    thawing = run(seated, capsys, "unstake", "100")
    assert (thawing["unbonding"], thawing["free"]) == (100 * ONE_NES, 400 * ONE_NES)


def test_locked_stake_does_not_thaw(seated: OwnedMiner, capsys: Capture) -> None:
    assert cli.main(["unstake", "501", "--dir", str(seated.folder)]) == 1
    message = capsys.readouterr().err
    assert "500 NES are free, 1000 NES are locked by seats" in message


def test_a_seat_that_is_not_there_is_told_from_those_that_are(
    seated: OwnedMiner, capsys: Capture
) -> None:
    assert cli.main(["leave", "--dir", str(seated.folder), *place(seated, 1)]) == 1
    assert "it sits in shard 0 of 0x" in capsys.readouterr().err


def test_people_read_sums_and_times(seated: OwnedMiner, capsys: Capture) -> None:
    assert cli.main(["unstake", "--dir", str(seated.folder)]) == 0
    shown = capsys.readouterr().out
    assert "500 NES" in shown
    assert " UTC" in shown
