"""A node that answers what a test wants, in front of nothing or of a real one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import ClientSession, web

Reply = web.StreamResponse | None
Answer = Callable[[str, list[Any]], Awaitable[Reply]]


@contextlib.asynccontextmanager
async def stub_node(answer: Answer, upstream: str | None = None) -> AsyncIterator[str]:
    """URL of a node; requests that `answer` gives None for go to `upstream`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        reply = await answer(body["method"], body["params"])
        if reply is not None:
            return reply
        assert upstream is not None
        async with ClientSession() as session, session.post(upstream, json=body) as response:
            return web.Response(body=await response.read(), content_type="application/json")

    application = web.Application(client_max_size=2**24)
    application.router.add_post("/", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def result(value: Any) -> web.Response:
    """A JSON-RPC result."""
    return web.json_response({"jsonrpc": "2.0", "id": 1, "result": value})


def error(code: int, message: str, data: Any = None) -> web.Response:
    """A JSON-RPC error."""
    body = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return web.json_response({"jsonrpc": "2.0", "id": 1, "error": body})
