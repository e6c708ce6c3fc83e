"""Who asks a sealed query names its watchers before it pays, and may keep its key."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from nesa import Client, InvalidConfiguration, InvalidInput, Rejected
from nesa.chain.connection import RpcPolicy
from nesa.cli.asking import Wish, ask
from nesa.cli.features import Given
from nesa.cli.grants import MOST_WATCHERS, Watchers
from nesa.cli.resuming import Departure, read_content_key
from nesa.client.modes import Open, Sealed
from nesa.privacy.grants import decode_grant, open_grant
from nesa.privacy.keys import generate_key, public_bytes
from nesa.protocol.ids import Digest
from tests.cli.conftest import Nesa
from tests.cli.test_resuming import EXAMPLE, FIRST, KEY, SEALED, intent
from tests.standing_network import StandingNetwork

TOWER, OTHER = generate_key(), generate_key()
KEPT = Path("kept.key")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def wish(*watchers: bytes, sealed: bool = True) -> Wish:
    mode = Sealed() if sealed else Open()
    return Wish("breast-cancer-mlp", Given(EXAMPLE), mode, watchers=tuple(watchers))


def noted(network: StandingNetwork, departure: Departure) -> Client:
    """A client whose transactions the departure is told of, as those of the command are."""
    policy = RpcPolicy(poll=0.02)
    return Client.connect(network.file, policy=policy, on_intent=departure.note)


@contextlib.asynccontextmanager
async def asked(client: Client, wanted: Wish, departure: Departure) -> AsyncIterator[None]:
    """While a query is waited for that nobody answers."""
    asking = asyncio.create_task(ask(client, wanted, departure, quiet=False))
    try:
        async with asyncio.timeout(90):
            yield
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


async def grants(count: int) -> list[Path]:
    while len(found := sorted(Path().glob("nesa-grant-*.json"))) < count:
        await asyncio.sleep(0.02)
    return found


async def test_watchers_get_grants_while_the_key_is_there(
    network: StandingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    holders = (public_bytes(TOWER), public_bytes(OTHER))
    departure = Departure(KEY)
    async with noted(network, departure) as client:
        async with asked(client, wish(*holders), departure):
            files = await grants(2)
        made = {one.holder: one for one in (decode_grant(path.read_bytes()) for path in files)}
        for key in (TOWER, OTHER):
            assert open_grant(made[public_bytes(key)], key, client.address) == KEY
        assert departure.submitted is not None
        assert {one.granted.query_id for one in made.values()} == {departure.submitted.query_id}
        said = " ".join(capsys.readouterr().out.split())
    assert "send the watcher its grant" in said
    assert "no watcher is named" not in said


async def test_a_grant_is_of_the_number_that_the_query_has_now(network: StandingNetwork) -> None:
    watchers = Watchers((public_bytes(TOWER),))
    async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as client:
        first = await client.submit("breast-cancer-mlp", EXAMPLE, privacy="sealed")
        again = await client.submit("breast-cancer-mlp", EXAMPLE, privacy="sealed")
        written = [await watchers.grant(client, one) for one in (first, first, again)]
    names = [f"nesa-grant-{one.query_id}.json" for one in (first, again)]
    assert [[path.name for path in one] for one in written] == [[names[0]], [], [names[1]]]


async def test_who_names_no_watcher_is_told_before_paying(
    network: StandingNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> str:
        return " ".join(capsys.readouterr().out.split())

    for kept, is_told in ((None, True), (KEPT, False)):
        departure = Departure(KEY, kept)
        async with noted(network, departure) as client, asked(client, wish(), departure):
            while departure.submitted is None:
                await asyncio.sleep(0.02)
        said = told()
        assert ("no watcher is named" in said.split("is on chain, paid")[0]) is is_told


@pytest.mark.parametrize(
    ("wanted", "kept", "problem"),
    [
        (wish(public_bytes(TOWER), sealed=False), None, "need --sealed"),
        (wish(sealed=False), KEPT, "need --sealed"),
        (wish(bytes(32)), None, "view key"),
        (replace(wish(), assurance="CHALLENGED"), None, "nobody can look"),
        (wish(*(n.to_bytes(32, "big") for n in range(9, 10 + MOST_WATCHERS))), None, "at most"),
    ],
)
async def test_what_cannot_be_granted_is_not_paid_for(
    network: StandingNetwork, wanted: Wish, kept: Path | None, problem: str
) -> None:
    departure = Departure(KEY if isinstance(wanted.mode, Sealed) else None, kept)
    async with Client.connect(network.file) as client:
        with pytest.raises(InvalidInput, match=problem):
            await ask(client, wanted, departure, quiet=True)
    assert departure.hashes == []


async def test_no_kept_key_is_written_over(network: StandingNetwork) -> None:
    KEPT.write_text("another key")
    async with Client.connect(network.file) as client:
        with pytest.raises(InvalidConfiguration, match="there already"):
            await ask(client, wish(), Departure(KEY, KEPT), quiet=True)
    assert KEPT.read_text() == "another key"


async def test_a_kept_key_stays_after_the_answer() -> None:
    departure = Departure(KEY, KEPT)
    with departure.watched():
        await departure.note(intent(FIRST))
        departure.arrived(SEALED)
    assert read_content_key(KEPT) == KEY
    assert KEPT.stat().st_mode & 0o777 == 0o600
    assert sorted(Path().iterdir()) == [KEPT]


async def test_of_a_refused_query_no_key_stays() -> None:
    departure = Departure(KEY, KEPT)
    with pytest.raises(Rejected), departure.watched():
        await departure.note(intent(Digest(b"\3" * 32)))
        raise Rejected("market: fee too low")
    assert list(Path().iterdir()) == []


def test_a_view_key_that_is_none_is_wrong_usage(nesa: Nesa) -> None:
    found = nesa("query", "m", "1", "--sealed", "--watcher", "0x12")
    assert found.code == 2
    assert "nesa-miner watchtower init" in " ".join(found.err.split())
