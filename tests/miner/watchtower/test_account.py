"""A watchtower's owner sees what it did and lacks, and gets what it earned."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nesa.chain.anvil import development_account
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.sender import Sender
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import ONE_NES, Address, Amount, QueryId, Timestamp
from nesa_miner import cli
from nesa_miner.founding import Place
from nesa_miner.watchtower.config import read_settings
from nesa_miner.watchtower.founding import Wish, found_watchtower
from nesa_miner.watchtower.journal import Checked, WatchJournal, journal_identity
from nesa_miner.watchtower.status import Purse, in_words, lacks
from nesa_miner.watchtower.withdrawing import read_payment
from tests.miner.watchtower.answers import answered, room_of
from tests.miner.watchtower.test_cases import WRONG
from tests.miner.watchtower.test_on_chain import Tasks, equivocators
from tests.oracle.network import QUICK, Network

PASSWORD = "a password of a test"
PURSE = Purse(10**18, Amount(100), Amount(100), Amount(0), Amount(0))
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NESA_PASSWORD", PASSWORD)
    place = Place(network.anvil.url, network.deployment)
    found_watchtower(tmp_path / "tower", place, Wish(1), PASSWORD, light_keys=True)
    return tmp_path / "tower"


def said(capsys: Capture, *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert cli.main(["watchtower", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def journal_of(folder: Path, network: Network, account: str) -> WatchJournal:
    name = journal_identity(network.deployment, Address(account))
    return WatchJournal(folder / read_settings(folder).journal, name)


async def give(network: Network, account: str, nes: int) -> None:
    network.anvil.rpc("anvil_setBalance", account, hex(10**20))
    async with await Connection.open(network.anvil.url, network.deployment, QUICK) as connection:
        call = Contracts(connection).token.transfer(Address(account), Amount(nes))
        await Sender(connection, development_account(0)).send(call)


def test_a_new_watchtower_says_what_it_lacks(
    network: Network, folder: Path, capsys: Capture
) -> None:
    found = said(capsys, "status", "--dir", str(folder))
    assert (found["running"], found["watching"], found["bonds_out"]) == (False, 0, 0)
    assert "coin for gas and 100 NES for one bond" in found["lacks"]
    asyncio.run(give(network, found["account"], 100 * ONE_NES))
    assert said(capsys, "status", "--dir", str(folder))["lacks"] is None
    assert not (folder / "journal.sqlite").exists()


def test_a_stopped_watchtower_says_what_it_had_found(
    network: Network, folder: Path, capsys: Capture
) -> None:
    account = said(capsys, "status", "--dir", str(folder))["account"]
    with closing(journal_of(folder, network, account)) as journal:
        journal.keep_case(replace(WRONG, closes_at=Timestamp(500)))
        journal.keep_checked(Checked(QueryId(7), "wrong", "shard 0", Timestamp(3)))
    found = said(capsys, "status", "--dir", str(folder))
    assert found["checked"] == {"wrong": 1}
    assert found["wrong"] == [{"query": 7, "shard": 0, "until": 500}]
    capsys.readouterr()
    assert cli.main(["watchtower", "status", "--dir", str(folder)]) == 0
    assert "wrong 1" in capsys.readouterr().out


def test_a_node_that_is_away_hides_nothing_else(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NESA_WATCHTOWER_RPC_URL", "http://127.0.0.1:1")
    found = said(capsys, "status", "--dir", str(folder))
    assert "127.0.0.1:1" in found["node"]
    assert "nes" not in found


@pytest.mark.parametrize(
    ("purse", "words"),
    [
        (PURSE, None),
        (replace(PURSE, coins=0), "send it coin for gas"),
        (replace(PURSE, nes=Amount(1)), "send it 0.000000099 NES for one bond"),
    ],
)
def test_what_is_lacking_is_named(purse: Purse, words: str | None) -> None:
    assert lacks(purse) == words


def test_sums_are_written_as_people_do_and_nothing_empty_is_shown() -> None:
    shown = in_words({"nes": 5 * ONE_NES, "coins": 10**17, "wrong": [], "lacks": None})
    assert shown == {"nes": "5 NES", "coins": "0.100000"}


def test_what_it_earned_is_collected_and_sent_on(
    network: Network, folder: Path, capsys: Capture
) -> None:
    account = said(capsys, "status", "--dir", str(folder))["account"]
    asyncio.run(give(network, account, 7))
    receiver = "0x" + "ab" * 20
    words = ["withdraw", "--dir", str(folder), "--to", receiver]
    paid = said(capsys, *words, "0.000000003")
    assert paid == {"collected": 0, "sent": 3, "nes": 4}
    assert said(capsys, *words) == {"collected": 0, "sent": 4, "nes": 0}
    assert said(capsys, *words) == {"collected": 0, "sent": 0, "nes": 0}


def test_more_than_there_is_is_refused(network: Network, folder: Path, capsys: Capture) -> None:
    account = said(capsys, "status", "--dir", str(folder))["account"]
    asyncio.run(give(network, account, 7))
    words = ["withdraw", "5", "--dir", str(folder), "--to", "0x" + "ab" * 20]
    found = said(capsys, *words, code=1)
    assert "has 0.000000007 NES" in found["error"]["message"]


def test_a_running_watchtower_is_not_sent_for_beside_it(
    network: Network, folder: Path, capsys: Capture
) -> None:
    account = said(capsys, "status", "--dir", str(folder))["account"]
    with closing(journal_of(folder, network, account)):
        found = said(capsys, "withdraw", "--dir", str(folder), code=1)
    assert "another process is using it" in found["error"]["message"]


@pytest.mark.parametrize(
    ("receiver", "amount", "words"), [(None, "3", "--to"), ("0x12", None, "no address")]
)
def test_a_payment_that_makes_no_sense_is_named(
    receiver: str | None, amount: str | None, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_payment(receiver, amount)


async def test_rewards_wait_for_whoever_showed_the_fault(
    network: Network, connection: Connection
) -> None:
    """Killed before it collected, it collects later."""
    answer = await answered(network, connection)
    room, tasks = await room_of(network, connection, "watcher"), Tasks(network)
    stored = [(answer.signer(), answer.equivocation())]
    await tasks.run(equivocators(room, tasks, stored), steps=1)
    await room.send(room.court.show_equivocation(answer.equivocation()))
    reward = await room.contracts.vault.reward_of(room.sender.address, "latest")
    assert reward
    assert await room.collect(room.sender.address)
    assert await room.contracts.token.balance_of(room.sender.address, "latest") == reward
