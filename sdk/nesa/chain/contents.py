"""Reads long inputs and answers from where they are published and from members that keep them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from aiohttp import ClientSession

from nesa.chain.members import ask_member
from nesa.chain.public_web import public_session
from nesa.chain.web import Patience, read_url
from nesa.protocol.contents import CONTENT_PATH
from nesa.protocol.errors import InvalidInput, Unavailable
from nesa.protocol.ids import Digest, QueryId

PATIENCE_SECONDS: Final = 8.0
"""How long one source may take."""

HEAD_START: Final = 0.3
"""Seconds after which the next source is asked as well, so that nobody who is slow holds up."""

Check: TypeAlias = Callable[[bytes], None]
"""Returns when the bytes are those that are wanted, else raises InvalidInput."""

_Ask: TypeAlias = Callable[[], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A content of a query: what it goes by, its size in bytes, and how to tell it."""

    query_id: QueryId
    name: Digest
    size: int
    check: Check


@dataclass(frozen=True, slots=True)
class ContentReader:
    """Reads contents from whichever source has what is wanted first; `seconds` are for each."""

    strangers: ClientSession
    members: ClientSession
    seconds: float = PATIENCE_SECONDS

    async def published(self, wanted: Wanted, urls: Sequence[str]) -> bytes:
        """The content from one of its URLs.

        Raises:
            Unavailable: none of them has it; the message says what was wrong with each.
        """
        patience = Patience(self.seconds, wanted.size)
        asks = [partial(read_url, self.strangers, url, patience) for url in urls]
        return await _first(wanted, urls, asks)

    async def kept(self, wanted: Wanted, endpoints: Sequence[str]) -> bytes:
        """The content from one of the members at these endpoints.

        Raises:
            Unavailable: none of them has it; the message says what was wrong with each.
        """
        path = CONTENT_PATH.format(query_id=wanted.query_id, name=wanted.name.hex())
        patience = Patience(self.seconds, wanted.size)
        asks = [partial(ask_member, self.members, at, path, patience) for at in endpoints]
        return await _first(wanted, endpoints, asks)


@asynccontextmanager
async def content_reader(
    *, allow_private: bool, seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[ContentReader]:
    """A reader for the length of the context.

    URLs of strangers lead to public addresses only, unless `allow_private`. Members may be
    anywhere: whoever registered an endpoint staked for it.
    """
    async with (
        public_session(allow_private=allow_private) as strangers,
        public_session(allow_private=True) as members,
    ):
        yield ContentReader(strangers, members, seconds)


async def _checked(wanted: Wanted, source: str, ask: _Ask) -> bytes:
    """What a source has, if it is what is wanted.

    Raises:
        Unavailable: it is not; the message names the source.
    """
    try:
        data = await ask()
        if data is None:
            raise Unavailable("there is nothing")
        await asyncio.to_thread(wanted.check, data)
    except (Unavailable, InvalidInput) as error:
        raise Unavailable(f"{source}: {error}") from error
    return data


async def _first(wanted: Wanted, sources: Sequence[str], asks: Sequence[_Ask]) -> bytes:
    """The first success; the next source is asked when the one before failed, or is slow."""
    running: set[asyncio.Future[bytes]] = set()
    failures: list[str] = []
    waiting = list(zip(sources, asks, strict=True))[::-1]
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(_checked(wanted, *waiting.pop())))
            timeout = HEAD_START if waiting else None
            done, running = await asyncio.wait(
                running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            for ended in done:
                if (error := ended.exception()) is None:
                    return ended.result()
                if not isinstance(error, Unavailable):
                    raise error
                failures.append(str(error))
    finally:
        await _cancel(running)
    said = "; ".join(failures) or "there is nobody to ask"
    raise Unavailable(f"a content of query {wanted.query_id} is not to be had: {said}")


async def _cancel(running: Iterable[asyncio.Future[bytes]]) -> None:
    tasks = list(running)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
