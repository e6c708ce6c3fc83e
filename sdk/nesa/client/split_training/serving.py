"""HTTP in front of a training peer; one step at a time, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from nesa.chain.listening import Listener, listening
from nesa.protocol.envelopes import MAX_ENVELOPE_BYTES, TRAINING_PATH
from nesa.protocol.errors import InvalidInput, NesaError, NotEntitled

MOST_AT_ONCE: Final = 8
READ_SECONDS: Final = 30.0

Answer = Callable[[bytes], bytes]
"""See `TrainingService.answer`."""


@asynccontextmanager
async def serving(answer: Answer, host: str, port: int) -> AsyncIterator[str]:
    """The peer's base URL while it listens.

    Raises:
        InvalidConfiguration: the address cannot be bound.
    """
    application = web.Application(client_max_size=MAX_ENVELOPE_BYTES)
    with ThreadPoolExecutor(1, "training") as thread:
        application.router.add_post(TRAINING_PATH, _handler(answer, thread))
        async with listening(Listener(application, host, port)) as url:
            yield url


def _handler(
    answer: Answer, thread: ThreadPoolExecutor
) -> Callable[[web.Request], Awaitable[web.Response]]:
    busy = asyncio.Semaphore(MOST_AT_ONCE)

    async def handle(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(READ_SECONDS):
                data = await request.read()
        except TimeoutError:
            return web.Response(status=503, text="the request took too long to arrive")
        if busy.locked():
            return web.Response(status=503, text="too many requests at once")
        async with busy:
            try:
                loop = asyncio.get_running_loop()
                return web.Response(body=await loop.run_in_executor(thread, answer, data))
            except NesaError as error:
                return web.Response(status=_status(error), text=str(error))

    return handle


def _status(error: NesaError) -> int:
    match error:
        case NotEntitled():
            return 403
        case InvalidInput():
            return 400
    return 503
