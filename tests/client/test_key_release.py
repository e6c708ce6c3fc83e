"""The release of keys over a real socket: bounded, and with words for whoever is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from nesa.chain.listening import MOST_CONNECTIONS
from nesa.client.key_release.encrypting import encryption_under
from nesa.client.key_release.record import ReleaseRecord
from nesa.client.key_release.server import serving
from nesa.privacy.model_secrets import new_secret
from nesa.protocol.envelopes import MAX_RELEASE_BYTES, SHARD_KEYS_PATH
from nesa.protocol.errors import (
    InvalidConfiguration,
    InvalidInput,
    InvalidMessage,
    NotEntitled,
    Unavailable,
)
from nesa.protocol.ids import Address, VersionId

ANSWERS: dict[bytes, bytes | Exception] = {
    b"listed": b"an envelope",
    b"outsider": NotEntitled("nobody"),
    b"garbage": InvalidMessage("no envelope"),
    b"late": Unavailable("the node does not answer"),
}


async def answer(data: bytes) -> bytes:
    found = ANSWERS[data]
    if isinstance(found, Exception):
        raise found
    return found


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    async with serving(answer, lambda *_: None, "127.0.0.1", 0) as base:
        yield base + SHARD_KEYS_PATH


async def test_outcomes_have_a_status_each(url: str) -> None:
    statuses = {}
    async with aiohttp.ClientSession() as session:
        for body in (*ANSWERS, bytes(MAX_RELEASE_BYTES + 1)):
            async with session.post(url, data=body) as response:
                statuses[body[:8]] = response.status
        async with session.get(url) as response:
            assert response.status == 405
    assert list(statuses.values()) == [200, 403, 400, 503, 413]


async def test_whoever_holds_connections_open_keeps_nobody_out(
    url: str,
) -> None:
    place = urlsplit(url)
    held = [
        await asyncio.open_connection(place.hostname, place.port)
        for _ in range(MOST_CONNECTIONS + 4)
    ]
    async with aiohttp.ClientSession() as session:
        for _ in range(20):
            try:
                async with session.post(url, data=b"listed") as response:
                    assert await response.read() == b"an envelope"
                    break
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
        else:
            pytest.fail("no room was made")
    for _, writer in held:
        writer.close()


async def test_a_taken_port_is_said(url: str) -> None:
    port = urlsplit(url).port or 0
    with pytest.raises(InvalidConfiguration, match="choose another --port"):
        async with serving(answer, lambda *_: None, "127.0.0.1", port):
            pass


def test_what_was_released_is_for_good(tmp_path: Path) -> None:
    version, operator = VersionId(bytes(32)), Address("0x" + "11" * 20)
    for shard in (1, 0, 1):
        record = ReleaseRecord(tmp_path / "released")
        assert record.keep(version, operator, shard) == 1
        record.close()
    assert (tmp_path / "released").stat().st_mode & 0o077 == 0
    (tmp_path / "other").write_text("no database at all, but a text that is long enough")
    with pytest.raises(InvalidConfiguration, match="record of released keys"):
        ReleaseRecord(tmp_path / "other")


async def test_a_damaged_record_releases_nothing_and_is_named(tmp_path: Path) -> None:
    """Its pages behind the first are gone, so it opens and then cannot be read."""
    path, version = tmp_path / "released", VersionId(bytes(32))
    record = ReleaseRecord(path)
    record.keep(version, Address("0x" + "11" * 20), 0)
    record.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    damaged, told = ReleaseRecord(path), []

    async def keep(_: bytes) -> bytes:
        damaged.keep(version, Address("0x" + "11" * 20), 1)
        raise AssertionError("a key was released")

    async with (
        serving(keep, lambda *said: told.append(said), "127.0.0.1", 0) as base,
        aiohttp.ClientSession() as session,
        session.post(base + SHARD_KEYS_PATH, data=b"x") as response,
    ):
        assert response.status == 503
        assert await response.text() == "no key can be released now"
    damaged.close()
    ((outcome, why),) = told
    assert outcome == "refused"
    assert str(path) in why
    assert "keep it" in why
    assert path.read_bytes()[:4096] == whole[:4096]


WRONG = ["", "keys.example.org", "ftp://x", "https://a b", "https://" + "k" * 300]


@pytest.mark.parametrize("url", WRONG)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="no http or https URL"):
        encryption_under(new_secret(), url)
