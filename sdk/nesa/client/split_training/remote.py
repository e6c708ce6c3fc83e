"""The way to a training peer over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from nesa.chain.web import read_bounded
from nesa.privacy.envelopes import Receiver
from nesa.privacy.split.training.part import Post
from nesa.privacy.split.training.sealed import Writer, sealing
from nesa.protocol.envelopes import MAX_ENVELOPE_BYTES, TRAINING_PATH
from nesa.protocol.errors import InvalidInput, NotEntitled, Unavailable

SECONDS: Final = 60.0
"""So long one request may take."""
TRIES: Final = 3
PAUSE: Final = 0.5
WORDS: Final = 500
"""Most bytes of why a peer refused."""


@asynccontextmanager
async def posting(url: str, writer: Writer, peer: Receiver) -> AsyncIterator[Post]:
    """Brings requests to `peer` at a base URL, sealed to it and signed by `writer`; its functions
    raise InvalidInput where the peer refuses or somebody else answers, NotEntitled where it lets
    this account not train, Unavailable where it does not answer after some tries.

    A step that is sent twice is made once, so that a lost answer loses nothing.
    """
    address = url.rstrip("/") + TRAINING_PATH
    async with ClientSession(timeout=ClientTimeout(total=SECONDS)) as session:

        async def carry(envelope: bytes) -> bytes:
            return await _once(session, address, envelope)

        yield _patient(sealing(carry, writer, peer))


def _patient(ask: Post) -> Post:
    """Asks again, each time in a new envelope, where nobody answered."""

    async def post(request: bytes) -> bytes:
        for attempt in range(TRIES):
            try:
                return await ask(request)
            except Unavailable:
                if attempt == TRIES - 1:
                    raise
                await asyncio.sleep(PAUSE * 2**attempt)
        raise AssertionError("the last try raises or returns")

    return post


async def _once(session: ClientSession, address: str, envelope: bytes) -> bytes:
    try:
        async with session.post(address, data=envelope, allow_redirects=False) as response:
            body = await read_bounded(response.content, MAX_ENVELOPE_BYTES)
            status = response.status
    except (ClientError, OSError, TimeoutError, ValueError) as error:
        raise Unavailable(f"{address} did not answer: {type(error).__name__}") from error
    if body is None:
        raise InvalidInput(f"the training peer's answer has more than {MAX_ENVELOPE_BYTES:,} bytes")
    if status == 200:
        return body
    why = body[:WORDS].decode(errors="replace")
    match status:
        case 403:
            raise NotEntitled(f"the training peer refused: {why}")
        case 400 | 413:
            raise InvalidInput(f"the training peer refused: {why}")
    raise Unavailable(f"{address} answered with status {status}: {why}")
