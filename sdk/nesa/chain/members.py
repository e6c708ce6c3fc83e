"""Asks members at the endpoints that they registered: strangers, whose answers are bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

from nesa.protocol.errors import Unavailable

CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer may take, in seconds, and how long it may be, in bytes.

    `reading` is held while a body is read.
    """

    seconds: float
    most: int
    reading: AbstractAsyncContextManager[None] = field(default_factory=nullcontext)


async def ask_member(
    session: ClientSession,
    endpoint: str,
    path: str,
    patience: Patience,
    params: Mapping[str, str] | None = None,
) -> bytes | None:
    """What a member answers below its endpoint, without redirects; None when it has nothing.

    Raises:
        Unavailable: no usable answer.
    """
    if not _is_web(endpoint):
        raise Unavailable("the endpoint is no http or https URL")
    url, timeout = endpoint.rstrip("/") + path, ClientTimeout(total=patience.seconds)
    try:
        async with session.get(
            url, params=params, timeout=timeout, allow_redirects=False
        ) as response:
            if response.status == 404:
                return None
            if response.status != 200:
                raise Unavailable(f"the member answered with status {response.status}")
            async with patience.reading:
                return await _read_capped(response.content.iter_chunked(CHUNK), patience.most)
    except (ClientError, OSError, TimeoutError, ValueError) as error:
        raise Unavailable(f"the member did not answer: {type(error).__name__}") from error


def _is_web(endpoint: str) -> bool:
    try:
        return urlsplit(endpoint).scheme in ("http", "https")
    except ValueError:
        return False


async def _read_capped(chunks: AsyncIterator[bytes], most: int) -> bytes:
    parts, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise Unavailable(f"the member sent more than {most} bytes")
        parts.append(chunk)
    return b"".join(parts)
