"""What strangers serve is read whole, or refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from nesa.chain.members import ask_member
from nesa.chain.web import Patience, read_url
from nesa.protocol.errors import Unavailable

BODY = b"0123456789"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[str]:
    async def there(_: web.Request) -> web.Response:
        return web.Response(body=BODY)

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("/there")

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500)

    app = web.Application()
    app.router.add_get("/there", there)
    app.router.add_get("/elsewhere", elsewhere)
    app.router.add_get("/broken", broken)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def read(url: str, most: int = len(BODY), *, redirects: bool = False) -> bytes | None:
    async with ClientSession() as session:
        return await read_url(session, url, Patience(60, most, redirects=redirects))


async def test_what_is_there_is_read_whole(server: str) -> None:
    assert await read(f"{server}/there") == BODY
    assert await read(f"{server}/nowhere") is None


async def test_what_is_too_long_is_refused_and_not_cut(server: str) -> None:
    with pytest.raises(Unavailable, match="more than 9 bytes"):
        await read(f"{server}/there", most=9)


async def test_redirects_are_followed_only_where_they_may_be(server: str) -> None:
    with pytest.raises(Unavailable, match="status 302"):
        await read(f"{server}/elsewhere")
    assert await read(f"{server}/elsewhere", redirects=True) == BODY


async def test_what_is_no_answer_is_named(server: str) -> None:
    for url in (f"{server}/broken", "http://127.0.0.1:1/", "http://["):
        with pytest.raises(Unavailable):
            await read(url)


async def test_a_member_has_a_web_address() -> None:
    async with ClientSession() as session:
        for endpoint in ("file:///etc", "memory://1", "http://[", ""):
            with pytest.raises(Unavailable, match="no http or https URL"):
                await ask_member(session, endpoint, "/x", Patience(1, 1))
