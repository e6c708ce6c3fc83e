"""Listens with a bounded number of connections."""

from __future__ import annotations

import asyncio

from aiohttp import web


class _Refusal(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def listen(runner: web.AppRunner, host: str, port: int, most: int) -> asyncio.Server:
    """Serve a runner that is set up; of more than `most` open connections one is closed at once.

    Raises:
        OSError: somebody else listens there.
    """
    server = runner.server
    assert server is not None

    def accepted() -> asyncio.Protocol:
        return server() if len(server.connections) < most else _Refusal()

    return await asyncio.get_running_loop().create_server(accepted, host, port)
