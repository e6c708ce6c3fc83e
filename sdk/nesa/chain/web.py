"""Reads what strangers serve over HTTP: in bounded time, and no more than was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, StreamReader

from nesa.protocol.errors import Unavailable

CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer may take, in seconds, and how long it may be, in bytes.

    `reading` is held while a body is read. `redirects` says whether others may be sent to.
    """

    seconds: float
    most: int
    reading: AbstractAsyncContextManager[None] = field(default_factory=nullcontext)
    redirects: bool = False


async def read_url(
    session: ClientSession,
    url: str,
    patience: Patience,
    params: Mapping[str, str] | None = None,
) -> bytes | None:
    """What is at a URL; None when nothing is.

    Raises:
        Unavailable: no usable answer, or a longer one.
    """
    timeout = ClientTimeout(total=patience.seconds)
    try:
        async with session.get(
            url, params=params, timeout=timeout, allow_redirects=patience.redirects
        ) as response:
            if response.status == 404:
                return None
            if response.status != 200:
                raise Unavailable(f"{url} answered with status {response.status}")
            async with patience.reading:
                body = await read_bounded(response.content, patience.most)
            if body is None:
                raise Unavailable(f"the answer has more than {patience.most} bytes")
            return body
    except Unavailable:
        raise  # it is an OSError too
    except (ClientError, OSError, TimeoutError, ValueError) as error:
        raise Unavailable(f"{url} did not answer: {type(error).__name__}") from error


async def read_bounded(content: StreamReader, most: int) -> bytes | None:
    """A body of HTTP; None when it is longer than `most` bytes, the rest of which is not read."""
    data = bytearray()
    async for chunk in content.iter_chunked(CHUNK):
        data += chunk
        if len(data) > most:
            return None
    return bytes(data)
