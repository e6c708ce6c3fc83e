"""HTTP in front of the release of keys; small requests, few at once, short ones only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from nesa.chain.listening import Listener, listening, status_of
from nesa.protocol.envelopes import MAX_RELEASE_BYTES, SHARD_KEYS_PATH
from nesa.protocol.errors import IntegrityError, NesaError

MOST_AT_ONCE: Final = 16
REQUEST_SECONDS: Final = 10.0

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
    async with listening(Listener(application, host, port)) as url:
        yield url


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
            return web.Response(status=status_of(error), text=_said_outside(error))
        told("released", "")
        return web.Response(body=body)

    return handle


def _said_outside(error: NesaError) -> str:
    """Which file is damaged is for the developer alone."""
    return "no key can be released now" if isinstance(error, IntegrityError) else str(error)
