"""HTTP in front of the release of keys; small requests, few at once, short ones only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from nesa.protocol.envelopes import MAX_RELEASE_BYTES, SHARD_KEYS_PATH
from nesa.protocol.errors import (
    ExhaustedResource,
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    NesaError,
    NotEntitled,
    Unavailable,
)

MOST_AT_ONCE: Final = 16
MOST_CONNECTIONS: Final = 64
MADE_ROOM: Final = 8
REQUEST_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 10.0

Answer = Callable[[bytes], Awaitable[bytes]]
"""See `KeyReleaseService.answer`."""

Told = Callable[[str, str], None]
"""Takes what became of a request, for the developer to see: an outcome and why."""


@asynccontextmanager
async def serving(answer: Answer, told: Told, host: str, port: int) -> AsyncIterator[str]:
    """The service's base URL while it listens.

    Raises:
        InvalidConfiguration: the address cannot be bound.
    """
    application = web.Application(client_max_size=MAX_RELEASE_BYTES)
    application.router.add_post(SHARD_KEYS_PATH, _handler(answer, told))
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


def _handler(answer: Answer, told: Told) -> Callable[[web.Request], Awaitable[web.Response]]:
    busy = asyncio.Semaphore(MOST_AT_ONCE)

    async def handle(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                asked = await request.read()
                if busy.locked():
                    return web.Response(status=503, text="too many requests at once")
                async with busy:
                    body = await answer(asked)
        except TimeoutError:
            return web.Response(status=503, text="it took too long")
        except NesaError as error:
            told("refused", str(error))
            return web.Response(status=_status(error), text=_said_outside(error))
        told("released", "")
        return web.Response(body=body)

    return handle


def _status(error: NesaError) -> int:
    match error:
        case NotEntitled():
            return 403
        case InvalidInput():
            return 400
        case Unavailable() | ExhaustedResource() | IntegrityError():
            return 503
    return 500


def _said_outside(error: NesaError) -> str:
    """Which file is damaged is for the developer alone."""
    return "no key can be released now" if isinstance(error, IntegrityError) else str(error)


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
