"""Reads long inputs and answers from where they are published and from members that keep them."""

from __future__ import annotations

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
"""How long all URLs of one input together may take, and one member."""

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
    """Reads contents, asking one source after another until one has what is wanted."""

    strangers: ClientSession
    members: ClientSession
    seconds: float = PATIENCE_SECONDS

    async def published(self, wanted: Wanted, urls: Sequence[str]) -> bytes:
        """The content from one of its URLs, which share the time that there is.

        Raises:
            Unavailable: none of them has it; the message says what was wrong with each.
        """
        patience = Patience(self.seconds / len(urls), wanted.size)
        asks = [partial(read_url, self.strangers, url, patience) for url in urls]
        return await _first(wanted, zip(urls, asks, strict=True))

    async def kept(self, wanted: Wanted, endpoints: Sequence[str]) -> bytes:
        """The content from one of the members at these endpoints.

        Raises:
            Unavailable: none of them has it; the message says what was wrong with each.
        """
        path = CONTENT_PATH.format(query_id=wanted.query_id, name=wanted.name.hex())
        patience = Patience(self.seconds, wanted.size)
        asks = [partial(ask_member, self.members, at, path, patience) for at in endpoints]
        return await _first(wanted, zip(endpoints, asks, strict=True))


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


async def _first(wanted: Wanted, sources: Iterable[tuple[str, _Ask]]) -> bytes:
    failures: list[str] = []
    for source, ask in sources:
        try:
            data = await ask()
            if data is None:
                failures.append(f"nothing is at {source}")
                continue
            wanted.check(data)
        except (Unavailable, InvalidInput) as error:
            failures.append(f"{source}: {error}")
        else:
            return data
    said = "; ".join(failures) or "there is nobody to ask"
    raise Unavailable(f"a content of query {wanted.query_id} is not to be had: {said}")
