"""An owner registers, and whatever was done before is left alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from nesa.chain.sender import Sender
from nesa.client.registering import Developer, Terms
from nesa.models.publish import publish
from nesa.protocol.errors import IntegrityError, InvalidInput, InvalidModel
from nesa.protocol.ids import ONE_NES, Address, Amount, VersionId
from nesa_miner import circuits, cli
from nesa_miner.config import CONFIG_FILE
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.network import DEVELOPER, HOLDER, MODEL, LocalNetwork

SEAT_STAKE = 1_000 * ONE_NES


def test_a_seat_is_taken_with_rebuilt_digests(
    miner: OwnedMiner, capsys: pytest.CaptureFixture[str]
) -> None:
    miner.pay()
    assert miner.register(1, "--json") == 0
    seated = json.loads(capsys.readouterr().out)
    facts = miner.network.read("registry", "shard", miner.network.version_id, 1)
    assert seated["circuit_digest"] == f"0x{facts.circuit_digest.hex()}"
    assert seated["verifier_code_hash"] == f"0x{facts.verifier_code_hash.hex()}"
    assert seated["signer"] == miner.identity.address
    assert 0 < seated["active_in_seconds"] <= 10
    ledger = miner.network.read("vault", "ledger", miner.owner.address)
    assert (ledger.stake, ledger.locked) == (SEAT_STAKE, SEAT_STAKE)


async def test_a_model_that_hands_over_too_much_is_not_registered(
    network: LocalNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nesa.models.cut.MAX_TENSOR_BYTES", 8)
    before = network.anvil.rpc("eth_getTransactionCount", DEVELOPER.address, "latest")
    async with network.connect() as connection:
        developer = Developer(connection, Sender(connection, DEVELOPER))
        with pytest.raises(InvalidModel, match="a shard hands over at most 8"):
            await developer.register(MODEL, Terms(Amount(10), Amount(10), 0, "/nowhere"))
    after = network.anvil.rpc("eth_getTransactionCount", DEVELOPER.address, "latest")
    assert after == before


def test_a_version_with_an_allow_list_seats_whom_its_developer_lists(
    miner: OwnedMiner, capsys: pytest.CaptureFixture[str]
) -> None:
    miner.pay()
    network = miner.network
    location = publish(MODEL, network.store, str(network.store))
    assert network.deployment.allow_list is not None
    listed = Terms(Amount(10), Amount(10), 0, location, network.deployment.allow_list)

    async def register() -> VersionId:
        async with network.connect() as connection:
            return await Developer(connection, Sender(connection, HOLDER)).register(MODEL, listed)

    async def allow(version: VersionId) -> Sequence[Address]:
        async with network.connect() as connection:
            developer = Developer(connection, Sender(connection, HOLDER))
            operators = [Address(HOLDER.address), Address(miner.owner.address)]
            first = await developer.allow(version, operators)
            assert await developer.allow(version, operators) == []
            with pytest.raises(InvalidInput, match="not registered with the allow list"):
                await developer.allow(network.version_id, operators)
            return first

    restricted = replace(miner, network=replace(network, version_id=asyncio.run(register())))
    assert restricted.register() == 1
    message = capsys.readouterr().err
    assert f"admit {miner.owner.address} (signer {miner.identity.address}" in message
    assert network.read("vault", "ledger", miner.owner.address).stake == 0
    assert len(asyncio.run(allow(restricted.network.version_id))) == 2
    assert restricted.register() == 0


def test_registering_again_sends_nothing(miner: OwnedMiner) -> None:
    miner.pay()
    assert miner.register() == 0
    before = miner.network.anvil.rpc("eth_getTransactionCount", miner.owner.address, "latest")
    assert miner.register() == 0
    after = miner.network.anvil.rpc("eth_getTransactionCount", miner.owner.address, "latest")
    assert after == before


def test_a_changed_endpoint_is_stated_again(miner: OwnedMiner) -> None:
    miner.pay()
    assert miner.register() == 0
    miner.change(endpoint="http://127.0.0.1:9999")
    assert miner.register() == 0
    operator = miner.network.read("vault", "operator", miner.owner.address)
    assert operator.endpoint == "http://127.0.0.1:9999"


def test_more_stake_than_the_seat_needs_can_be_asked_for(miner: OwnedMiner) -> None:
    miner.pay()
    assert miner.register(0, "--stake", "1500.5") == 0
    ledger = miner.network.read("vault", "ledger", miner.owner.address)
    assert ledger.stake == 1_500 * ONE_NES + ONE_NES // 2


def test_the_developers_store_is_added_to_the_settings(miner: OwnedMiner) -> None:
    miner.pay()
    miner.change(stores=())
    assert miner.register() == 0
    assert miner.settings.stores == (str(miner.network.store),)
    assert json.loads((miner.folder / CONFIG_FILE).read_text())["stores"]


def test_a_second_shard_of_a_version_is_refused(
    miner: OwnedMiner, capsys: pytest.CaptureFixture[str]
) -> None:
    miner.pay()
    assert miner.register(0) == 0
    assert miner.register(1) == 1
    assert "sits in shard 0 of this version already" in capsys.readouterr().err


def test_an_owner_without_coins_is_told_its_address(
    miner: OwnedMiner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert miner.register() == 1
    assert f"the owner {miner.owner.address} cannot pay for gas" in capsys.readouterr().err


def test_an_owner_without_nes_is_told_how_much_is_missing(
    miner: OwnedMiner, capsys: pytest.CaptureFixture[str]
) -> None:
    miner.pay(10)
    assert miner.register() == 1
    message = capsys.readouterr().err
    assert "holds 10 NES" in message
    assert "lacks 1000 NES" in message


def test_an_unknown_version_is_one_sentence(
    miner: OwnedMiner, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["register", "--dir", str(miner.folder), "--version", "0x" + "ab" * 32, "--shard", "0"]
    assert cli.main(words) == 1
    assert "is not registered on chain 31337" in capsys.readouterr().err


def test_an_unknown_shard_is_one_sentence(
    miner: OwnedMiner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert miner.register(5) == 1
    assert "has shards 0 to 1, not 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--version", "0x1234", "no version id"),
        ("--stake", "many", "no sum of NES"),
        ("--stake", "-5", "no sum of NES"),
        ("--stake", "0.0000000001", "no sum of NES"),
    ],
)
def test_words_that_make_no_sense_are_said(
    miner: OwnedMiner, capsys: pytest.CaptureFixture[str], option: str, value: str, words: str
) -> None:
    known = {"--version": "0x" + "ab" * 32, "--shard": "0", "--stake": "0"} | {option: value}
    options = [word for pair in known.items() for word in pair]
    assert cli.main(["register", "--dir", str(miner.folder), *options]) == 1
    assert words in capsys.readouterr().err


def test_a_circuit_that_comes_out_differently_stops_before_money_moves(
    miner: OwnedMiner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def differs(*_: object) -> None:
        raise IntegrityError("the circuit and the shard differ; do not take this seat")

    miner.pay()
    monkeypatch.setattr(circuits, "_compare_answers", differs)
    monkeypatch.setattr(circuits._Notes, "read", lambda _: None)
    assert miner.register() == 1
    assert "do not take this seat" in capsys.readouterr().err
    assert miner.network.read("vault", "ledger", miner.owner.address).stake == 0


def test_a_dead_node_is_one_sentence(miner: OwnedMiner, capsys: pytest.CaptureFixture[str]) -> None:
    miner.change(rpc_url="http://127.0.0.1:9")
    assert miner.register() == 1
    message = capsys.readouterr().err
    assert message.startswith("Error: http://127.0.0.1:9 cannot be reached")
    assert "Traceback" not in message
