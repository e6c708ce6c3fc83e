"""A small HTTP server that a stranger cannot fill up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from nesa.protocol.errors import (
    ExhaustedResource,
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    NesaError,
    NotEntitled,
    Unavailable,
)

MOST_CONNECTIONS: Final = 64
"""Open connections; one more is refused."""

MADE_ROOM: Final = 64
"""A full server lets go of one in so many of its connections, of one at least."""

IDLE_SECONDS: Final = 30.0
"""How long a connection may be silent, also before its first request."""


def status_of(error: NesaError) -> int:
    """The HTTP status that tells a caller of an error: 403 not for it, 400 wrong, 503 not now."""
    match error:
        case NotEntitled():
            return 403
        case InvalidInput():
            return 400
        case Unavailable() | ExhaustedResource() | IntegrityError():
            return 503
        case _:
            return 500


@dataclass(slots=True)
class Listener:
    """An application on an address of this machine; port 0 takes a free one.

    `advice` is what whoever started it can do when the address is taken.
    """

    application: web.Application
    host: str
    port: int
    most: int = MOST_CONNECTIONS
    advice: str = "choose another --port"
    _runner: web.AppRunner | None = None
    _listener: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen; returns the base URL.

        Raises:
            InvalidConfiguration: the address cannot be bound.
        """
        self._runner = web.AppRunner(
            self.application, access_log=None, shutdown_timeout=1.0, keepalive_timeout=IDLE_SECONDS
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(self._accept, self.host, self.port)
        except OSError as error:
            await self.close()
            raise InvalidConfiguration(
                f"cannot listen on {self.host}:{self.port} ({error.strerror}); {self.advice}"
            ) from error
        address, bound = self._listener.sockets[0].getsockname()[:2]
        return f"http://{f'[{address}]' if ':' in address else address}:{bound}"

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._listener = self._runner = None

    def _accept(self) -> asyncio.BaseProtocol:
        """A full server refuses, and lets go of its oldest connections: the next finds room."""
        server = None if self._runner is None else self._runner.server
        if server is None:
            return _Refusal()
        held = server.connections
        if len(held) < self.most:
            return server()
        for connection in held[: 1 + self.most // MADE_ROOM]:
            if connection.transport is not None:
                connection.transport.abort()
        return _Refusal()


class _Refusal(asyncio.Protocol):
    """Ends a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


@asynccontextmanager
async def listening(listener: Listener) -> AsyncIterator[str]:
    """The base URL of a listener, for the length of the context.

    Raises:
        InvalidConfiguration: the address cannot be bound.
    """
    try:
        yield await listener.open()
    finally:
        await listener.close()
