"""How a client reaches the members of a group: a transport, and one in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from nesa.protocol.ids import Address


class Group(Protocol):
    """One of the two groups; no operator may be in both."""

    @property
    def name(self) -> str:
        """What errors call it."""

    @property
    def members(self) -> tuple[Address, ...]:
        """Signers of its members, at least one."""

    async def ask(self, member: Address, request: bytes) -> bytes:
        """The reply of one member to an encoded request, at most `MAX_SHARE_MESSAGE` bytes.

        Raises:
            NesaError: the member cannot be reached, or refuses.
        """


class MemoryGroup:
    """A group in this process; each member answers in a thread, one request at a time."""

    def __init__(self, name: str, answers: Mapping[Address, Callable[[bytes], bytes]]) -> None:
        self.name = name
        self.members = tuple(answers)
        self._answers = dict(answers)
        self._busy = {member: asyncio.Lock() for member in answers}

    async def ask(self, member: Address, request: bytes) -> bytes:
        """See `Group.ask`."""
        async with self._busy[member]:
            return await asyncio.to_thread(self._answers[member], request)
