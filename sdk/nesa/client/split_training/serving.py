"""HTTP in front of a training peer; one step at a time, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from nesa.chain.listening import Listener, listening
from nesa.privacy.split.training.peer import TrainingPeer
from nesa.privacy.split.training.wire import (
    MAX_REQUEST_BYTES,
    PATH,
    decode_request,
    encode_reply,
)
from nesa.protocol.errors import InvalidInput, NesaError

MOST_AT_ONCE: Final = 8
READ_SECONDS: Final = 30.0


@asynccontextmanager
async def serving(peer: TrainingPeer, host: str, port: int) -> AsyncIterator[str]:
    """The peer's base URL while it listens.

    Raises:
        InvalidConfiguration: the address cannot be bound.
    """
    application = web.Application(client_max_size=MAX_REQUEST_BYTES)
    with ThreadPoolExecutor(1, "training") as thread:
        application.router.add_post(PATH, _handler(peer, thread))
        async with listening(Listener(application, host, port)) as url:
            yield url


def _handler(
    peer: TrainingPeer, thread: ThreadPoolExecutor
) -> Callable[[web.Request], Awaitable[web.Response]]:
    busy = asyncio.Semaphore(MOST_AT_ONCE)

    def answer(data: bytes) -> bytes:
        return encode_reply(peer.answer(decode_request(data)))

    async def handle(request: web.Request) -> web.Response:
        if busy.locked():
            return web.Response(status=503, text="too many requests at once")
        async with busy:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    data = await request.read()
                loop = asyncio.get_running_loop()
                return web.Response(body=await loop.run_in_executor(thread, answer, data))
            except TimeoutError:
                return web.Response(status=503, text="the request took too long to arrive")
            except NesaError as error:
                status = 400 if isinstance(error, InvalidInput) else 503
                return web.Response(status=status, text=str(error))

    return handle
