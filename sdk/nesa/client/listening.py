"""A small HTTP server that a stranger cannot fill up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from nesa.protocol.errors import InvalidConfiguration

MOST_CONNECTIONS: Final = 64
MADE_ROOM: Final = 8
IDLE_SECONDS: Final = 10.0


@asynccontextmanager
async def listening(application: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """The base URL of an application while it listens; port 0 takes a free one.

    Raises:
        InvalidConfiguration: the address cannot be bound.
    """
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=1.0, keepalive_timeout=IDLE_SECONDS
    )
    await runner.setup()
    listener: asyncio.Server | None = None
    try:
        try:
            listener = await _listen(runner, host, port)
        except OSError as error:
            raise InvalidConfiguration(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another --port"
            ) from error
        address, bound = listener.sockets[0].getsockname()[:2]
        yield f"http://{address}:{bound}"
    finally:
        if listener is not None:
            listener.close()
        await runner.cleanup()


class _Refusal(asyncio.Protocol):
    """Ends a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


async def _listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    server = runner.server
    if server is None:
        raise InvalidConfiguration("the server was not set up")

    def accepted() -> asyncio.Protocol:
        """A full server refuses, and lets go of its oldest connections: the next finds room."""
        if len(server.connections) < MOST_CONNECTIONS:
            return server()
        for connection in server.connections[:MADE_ROOM]:
            if connection.transport is not None:
                connection.transport.abort()
        return _Refusal()

    return await asyncio.get_running_loop().create_server(accepted, host, port)
