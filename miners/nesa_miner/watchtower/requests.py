"""Reads the long inputs of answered queries, so that their answers can be looked at."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from nesa.chain.connection import Connection
from nesa.chain.contents import Wanted
from nesa.chain.history import QueryHistory
from nesa.protocol.contents import decode_locator
from nesa.protocol.errors import InvalidMessage, NotEntitled, Unavailable
from nesa.protocol.ids import Digest, QueryId
from nesa_miner.disputes.inputs import ReadContentKey, ReadHistory
from nesa_miner.surroundings import Contents, WitnessLibrary
from nesa_miner.watchtower.statements import drawn_for
from nesa_miner.work import Task, carried_input, has_long_input, is_sealed, requested_input

MOST_KEPT: Final = 4
"""Inputs that are kept for the next look at the same query."""

Complete: TypeAlias = Callable[[QueryHistory], Awaitable[QueryHistory]]
"""A query's history with its input in place of the locator."""


async def as_it_is(history: QueryHistory) -> QueryHistory:
    """What has nothing but the chain completes nothing."""
    return history


@dataclass(slots=True)
class RequestReader:
    """Completes histories; `library` knows what an input of a version is like."""

    connection: Connection
    library: WitnessLibrary
    contents: Contents
    content_key: ReadContentKey
    _kept: OrderedDict[Digest, bytes] = field(default_factory=OrderedDict)

    def completing(self, read: ReadHistory) -> ReadHistory:
        """Reads histories as `read` does, and completes them."""

        async def history(query_id: QueryId) -> QueryHistory:
            return await self.complete(await read(query_id))

        return history

    async def complete(self, history: QueryHistory) -> QueryHistory:
        """The history with the input in place of its locator, if it is long and can be seen.

        Raises:
            InvalidInput: the version cannot be had.
            Unavailable: it is neither there nor with a member, or the node does not answer.
        """
        query, key = history.query, self.content_key(history.query)
        if is_sealed(query) and key is None:
            return history
        try:
            facts, _ = await self.library.runner(query.version_id, 0)
            if not has_long_input(query, facts):
                return history
            urls = decode_locator(history.requested.input)
        except (NotEntitled, InvalidMessage):
            return history  # whoever looks at it says what is wrong with it
        if query.input_digest not in self._kept:
            task = Task(query, 0, key)

            def check(data: bytes) -> None:
                requested_input(task, facts, data)

            size = carried_input(query, facts)
            wanted = Wanted(query.query_id, query.input_digest, size, check)
            await self._read(history, wanted, urls)
        data = self._kept[query.input_digest]
        return replace(history, requested=replace(history.requested, input=data))

    async def _read(self, history: QueryHistory, wanted: Wanted, urls: tuple[str, ...]) -> None:
        """Read from where it was published, else from the members that worked on it."""
        try:
            data = await self.contents.published(wanted, urls)
        except Unavailable:
            drawn = await drawn_for(self.connection, history)
            endpoints = [seat.endpoint for seat in drawn.shards[0]]
            data = await self.contents.kept(wanted, endpoints)
        self._kept[wanted.name] = data
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
