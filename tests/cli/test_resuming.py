"""What was paid for is not lost when the wait for it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nesa import (
    Client,
    InvalidConfiguration,
    InvalidInput,
    Privacy,
    QueryExpired,
    Rejected,
    SubmittedQuery,
    Unavailable,
)
from nesa.chain.abi import ContractCall
from nesa.chain.connection import RpcPolicy
from nesa.chain.sender import Fees, Intent, OnIntent
from nesa.cli.asking import Wish, ask
from nesa.cli.features import Given
from nesa.cli.main import main
from nesa.cli.resuming import (
    DEPOSIT,
    Departure,
    keeping,
    key_file,
    read_content_key,
    time_left,
)
from nesa.client.modes import Open, Sealed
from nesa.models.folder import load
from nesa.protocol.ids import Address, Digest, Timestamp
from tests.oracle.cases import query_with
from tests.standing_network import StandingNetwork

KEY = bytes(range(32))
SEALED = SubmittedQuery(query_with(), Digest(b"\1" * 32), None, KEY)
FILE = key_file(SEALED.query_id)
MODEL = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
EXAMPLE = load(MODEL).test_rows().features[0].tolist()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("error", [Unavailable("away"), KeyboardInterrupt()], ids=repr)
def test_the_content_key_is_kept_for_its_owner_alone(error: BaseException) -> None:
    with pytest.raises(type(error)), keeping(SEALED):
        raise error
    assert read_content_key(FILE) == KEY
    assert FILE.stat().st_mode & 0o777 == 0o600


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), keeping(SEALED):
        raise KeyboardInterrupt
    said = capsys.readouterr().err
    assert f"`nesa answer 7 --content-key {FILE}`" in said
    assert time_left(SEALED.query.answer_deadline, time.time()) in said


def test_the_deadline_is_told_with_what_is_left_of_it() -> None:
    noon = Timestamp(1_767_268_800)
    assert time_left(noon, noon - 41.5) == " and can be answered until 12:00:00 UTC, for 41 s more"
    assert time_left(noon, noon + 0.5) == " and its deadline passed at 12:00:00 UTC"


async def test_a_sealed_query_without_its_key_is_told_the_option(
    network: StandingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as client:
        submitted = await client.submit("breast-cancer-mlp", EXAMPLE, privacy="sealed")
    command = ["answer", str(submitted.query_id), "--network", str(network.file)]
    assert await asyncio.to_thread(main, command) == 1
    assert f"--content-key {key_file(submitted.query_id)}" in capsys.readouterr().err


def test_no_key_is_kept_of_what_is_over() -> None:
    with pytest.raises(QueryExpired), keeping(SEALED):
        raise QueryExpired("too late")
    with keeping(SEALED):
        pass
    assert not FILE.exists()


def intent(tx_hash: Digest) -> Intent:
    call = ContractCall(Address("0x" + "00" * 20), b"", "request")
    return Intent(call, 0, tx_hash, b"", Fees(1, 1))


FIRST, SECOND = Digest(b"\3" * 32), Digest(b"\4" * 32)


async def test_the_content_key_is_in_a_file_before_the_query_leaves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    departure = Departure(KEY)
    with pytest.raises(KeyboardInterrupt), departure.watched():
        await departure.note(intent(FIRST))
        await departure.note(intent(SECOND))
        raise KeyboardInterrupt
    kept = key_file(FIRST)
    assert read_content_key(kept) == KEY
    assert kept.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().err
    assert f"0x{FIRST.hex()} or 0x{SECOND.hex()} was sent" in said
    assert f"`nesa answer 0x{SECOND.hex()} --content-key {kept}`" in said


async def test_a_query_whose_key_cannot_be_kept_stays_here(network: StandingNetwork) -> None:
    async def note(intent: Intent) -> None:
        key_file(intent.tx_hash).mkdir()
        await departure.note(intent)

    departure = Departure(KEY)
    wish = Wish("breast-cancer-mlp", Given(EXAMPLE), Sealed())
    async with Client.connect(network.file, on_intent=note) as client:
        before = await client.balance()
        with pytest.raises(InvalidConfiguration, match="cannot write the content key"):
            await ask(client, wish, departure, quiet=True)
        assert await client.balance() == before


def test_an_interruption_before_anything_is_sent_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyboardInterrupt), Departure(KEY).watched():
        raise KeyboardInterrupt
    assert "nothing was sent" in capsys.readouterr().err


async def test_no_key_of_a_refused_query_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    departure = Departure(KEY)
    with pytest.raises(Rejected), departure.watched():
        await departure.note(intent(FIRST))
        raise Rejected("market: fee too low")
    assert not key_file(FIRST).exists()
    assert capsys.readouterr().err == ""


async def test_the_key_is_called_by_the_number_and_goes_with_the_answer() -> None:
    departure = Departure(KEY)
    with departure.watched():
        await departure.note(intent(FIRST))
        departure.arrived(SEALED)
        assert read_content_key(FILE) == KEY
        assert not key_file(FIRST).exists()
    assert not FILE.exists()


async def test_a_query_that_is_interrupted_before_its_block_is_found_again(
    network: StandingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    departure = Departure(KEY)
    wish = Wish("breast-cancer-mlp", Given(EXAMPLE), Sealed())
    async with without_blocks(network, departure.note) as client, asyncio.timeout(90):
        asking = asyncio.create_task(ask(client, wish, departure, quiet=True))
        await sent(client, departure)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError), departure.watched():
            await asking
        await client.connection.request("evm_mine")
        asked = departure.hashes[0]
        found = await client.find(asked, content_key=read_content_key(key_file(asked)))
        assert (found.tx_hash, found.content_key) == (asked, KEY)
        assert found.query.requester == client.address
        assert found.query.privacy is Privacy.SEALED
    assert f"`nesa answer 0x{asked.hex()} --content-key" in capsys.readouterr().err


@contextlib.asynccontextmanager
async def without_blocks(network: StandingNetwork, note: OnIntent) -> AsyncIterator[Client]:
    """A client of a chain that mines nothing unless it is told to."""
    policy = RpcPolicy(poll=0.02)
    async with Client.connect(network.file, policy=policy, on_intent=note) as client:
        await client.connection.request("evm_setAutomine", False)
        try:
            yield client
        finally:
            await client.connection.request("evm_setAutomine", True)


async def sent(client: Client, departure: Departure) -> None:
    """Wait until the node has the transaction."""
    while not departure.hashes or not await client.connection.request(
        "eth_getTransactionByHash", f"0x{departure.hashes[0].hex()}"
    ):
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("content", ["", "00", "zz" * 32, "é"])
def test_what_is_no_key_is_refused(content: str) -> None:
    FILE.write_text(content)
    with pytest.raises(InvalidInput, match=str(FILE)):
        read_content_key(FILE)


async def test_a_query_without_an_answer_is_named_in_json(
    network: StandingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = ",".join(map(str, EXAMPLE))
    command = ["query", "breast-cancer-mlp", numbers, "--network", str(network.file), "--json"]
    async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as client:
        market = client.contracts.market
        before = await market.last_query_id("latest")
        asking = asyncio.create_task(asyncio.to_thread(main, command))
        async with asyncio.timeout(90):
            while (number := await market.last_query_id("latest")) == before:
                await asyncio.sleep(0.02)
        await client.connection.request("evm_increaseTime", 61)
        await client.connection.request("evm_mine")
        assert await asking == 1
    found = json.loads(capsys.readouterr().out)["error"]
    assert (found["kind"], found["query"]) == ("QueryExpired", number)
    assert found["resume"] == f"nesa watch {number} --refund"


async def test_a_deposit_says_nothing_of_where_the_query_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    departure = Departure(None)
    call = ContractCall(Address("0x" + "00" * 20), b"", DEPOSIT, 1)
    with pytest.raises(KeyboardInterrupt), departure.watched():
        await departure.note(intent(FIRST))
        await departure.note(Intent(call, 1, SECOND, b"", Fees(1, 1)))
        raise KeyboardInterrupt
    said = capsys.readouterr().err
    assert f"`nesa answer 0x{FIRST.hex()}`" in said
    assert SECOND.hex() not in said


async def test_a_query_whose_deposit_fails_is_waited_for(
    network: StandingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Client, submitted: SubmittedQuery, wei: int) -> None:
        raise Rejected("escrow: query is not open")

    monkeypatch.setattr(Client, "deposit_gas", fails)
    departure = Departure(None)
    wish = Wish("breast-cancer-mlp", Given(EXAMPLE), Open(), gas_deposit=7)
    async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as client:
        asking = asyncio.create_task(ask(client, wish, departure, quiet=True))
        with pytest.warns(UserWarning, match="no coin was left"):
            await has_arrived(departure)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
    assert departure.submitted is not None


async def has_arrived(departure: Departure) -> None:
    while departure.submitted is None:
        await asyncio.sleep(0.02)
