"""The way to a training peer over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from nesa.chain.web import read_bounded
from nesa.privacy.split.training.part import Post
from nesa.privacy.split.training.wire import MAX_REPLY_BYTES, PATH
from nesa.protocol.errors import InvalidInput, Unavailable

SECONDS: Final = 60.0
"""So long one request may take."""
TRIES: Final = 3
PAUSE: Final = 0.5
WORDS: Final = 500
"""Most bytes of why a peer refused."""


@asynccontextmanager
async def posting(url: str) -> AsyncIterator[Post]:
    """Brings requests to the peer at a base URL; its functions raise InvalidInput where the peer
    refuses, Unavailable where it does not answer after some tries.

    A step that is sent twice is made once, so that a lost answer loses nothing.
    """
    address = url.rstrip("/") + PATH
    async with ClientSession(timeout=ClientTimeout(total=SECONDS)) as session:

        async def post(request: bytes) -> bytes:
            for attempt in range(TRIES):
                try:
                    return await _once(session, address, request)
                except Unavailable:
                    if attempt == TRIES - 1:
                        raise
                    await asyncio.sleep(PAUSE * 2**attempt)
            raise AssertionError("the last try raises or returns")

        yield post


async def _once(session: ClientSession, address: str, request: bytes) -> bytes:
    try:
        async with session.post(address, data=request, allow_redirects=False) as response:
            body = await read_bounded(response.content, MAX_REPLY_BYTES)
            if body is None:
                raise InvalidInput(
                    f"the training peer's answer has more than {MAX_REPLY_BYTES:,} bytes"
                )
            if response.status == 200:
                return body
            why = body[:WORDS].decode(errors="replace")
            if response.status == 400:
                raise InvalidInput(f"the training peer refused: {why}")
            raise Unavailable(f"{address} answered with status {response.status}: {why}")
    except (Unavailable, InvalidInput):
        raise  # they are an OSError and a ValueError too
    except (ClientError, OSError, TimeoutError, ValueError) as error:
        raise Unavailable(f"{address} did not answer: {type(error).__name__}") from error
