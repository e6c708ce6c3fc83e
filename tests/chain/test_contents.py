"""Long inputs are read from strangers' servers: in bounded time and size, and not from anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from nesa.chain.contents import ContentReader, Wanted, content_reader
from nesa.chain.public_web import is_public, public_session
from nesa.chain.web import Patience, read_url
from nesa.protocol.errors import InvalidMessage, Unavailable
from nesa.protocol.ids import Digest, QueryId

DATA = bytes(range(250)) * 20
NAME = Digest(bytes(range(32)))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(answer: Handler) -> AsyncIterator[tuple[str, list[str]]]:
    """A server's URL and the paths that it is asked for."""
    asked: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", note)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}", asked
    finally:
        await runner.cleanup()


async def right(_: web.Request) -> web.StreamResponse:
    return web.Response(body=DATA)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(1 << 16))


async def stalling(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.05)


def check(data: bytes) -> None:
    if data != DATA:
        raise InvalidMessage("other bytes")


WANTED = Wanted(QueryId(7), NAME, len(DATA), check)


@asynccontextmanager
async def reading(seconds: float = 60.0) -> AsyncIterator[ContentReader]:
    async with content_reader(allow_private=True, seconds=seconds) as reader:
        yield reader


async def test_every_url_is_tried() -> None:
    async def missing(_: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    async def wrong(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(len(DATA)))

    async with (
        serving(missing) as (first, _),
        serving(wrong) as (second, _),
        serving(right) as (third, _),
        reading() as reader,
    ):
        assert await reader.published(WANTED, [first, second, third]) == DATA
        with pytest.raises(Unavailable, match=r"there is nothing; .*other bytes"):
            await reader.published(WANTED, [first, second])


async def test_no_more_is_read_than_the_content_has() -> None:
    async with serving(endless) as (url, _), reading() as reader:
        with pytest.raises(Unavailable, match="more than 5000 bytes"):
            await reader.published(WANTED, [url])


async def test_who_stalls_is_left() -> None:
    async with (
        serving(stalling) as (slow, _),
        serving(right) as (quick, _),
        reading() as reader,
        reading(0.6) as hasty,
    ):
        assert await reader.published(WANTED, [slow, quick]) == DATA
        with pytest.raises(Unavailable, match="TimeoutError"):
            await hasty.published(WANTED, [slow])


async def test_what_is_packed_is_not_unpacked() -> None:
    async def packed(_: web.Request) -> web.StreamResponse:
        response = web.Response(body=bytes(1 << 20))
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with serving(packed) as (url, _), reading() as reader:
        with pytest.raises(Unavailable, match="other bytes"):
            await reader.published(WANTED, [url])


async def test_members_are_asked_by_query_and_name() -> None:
    async with serving(right) as (url, asked), reading() as reader:
        assert await reader.kept(WANTED, ["ftp://other.example", url]) == DATA
        assert asked == [f"/v1/contents/7/{NAME.hex()}"]


async def test_there_may_be_nobody() -> None:
    async with reading() as reader:
        with pytest.raises(Unavailable, match="nobody to ask"):
            await reader.kept(WANTED, [])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_private_addresses_are_not_asked(host: str) -> None:
    """By number, by name, and by the forms that a resolver understands."""
    async with serving(right) as (url, asked):
        port = url.rpartition(":")[2]
        async with public_session(allow_private=False) as session:
            with pytest.raises(Unavailable):
                await read_url(session, f"http://{host}:{port}/", Patience(2.0, len(DATA)))
        assert asked == []


async def test_a_redirect_is_not_followed() -> None:
    async with serving(right) as (inside, asked):

        async def elsewhere(_: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(f"{inside}/latest/meta-data")

        async with serving(elsewhere) as (url, _), reading() as reader:
            with pytest.raises(Unavailable, match="status 302"):
                await reader.published(WANTED, [url])
        assert asked == []


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "127.8.9.1", "0.0.0.0",
     "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
     "fd00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::",
     "not an address", ""],
)  # fmt: skip
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_what_is_public(address: str) -> None:
    assert is_public(address)
