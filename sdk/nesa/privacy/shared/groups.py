"""How a client reaches the members of a group: a transport, and one in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from nesa.privacy.shared.late import LateReplies
from nesa.protocol.ids import Address

MOST_WAITING: Final = 64
"""Requests that wait for one member."""


class Group(Protocol):
    """One of the two groups; no operator may be in both."""

    @property
    def name(self) -> str:
        """What errors call it."""

    @property
    def members(self) -> tuple[Address, ...]:
        """Signers of its members, at least one."""

    @property
    def at_once(self) -> int:
        """How many products it is asked for at a time."""

    @property
    def late(self) -> LateReplies:
        """What its members are still at work on when the quorum has answered."""

    def settle(self, member: Address) -> None:
        """Takes note that a member's sums were right."""

    def replace(self, failed: Collection[Address]) -> bool:
        """Whether others stand now where members failed, who are not asked any more."""

    async def ask(self, member: Address, request: bytes) -> bytes:
        """The reply of one member to an encoded request, at most `MAX_SHARE_MESSAGE` bytes.

        Raises:
            NesaError: the member cannot be reached, or refuses.
        """


@dataclass(slots=True)
class Spares:
    """Who may stand in for members of one or both groups, in their order; each for one group."""

    waiting: list[Address]

    def stand_in(
        self, members: tuple[Address, ...], failed: Collection[Address]
    ) -> tuple[Address, ...] | None:
        """The members with others in place of those who failed; None when too few wait.

        Somebody who is no member any more is replaced already.
        """
        gone = [member for member in members if member in failed]
        if len(gone) > len(self.waiting):
            return None
        return tuple(self.waiting.pop(0) if one in gone else one for one in members)


class MemoryGroup:
    """A group in this process; each member answers in a thread, one request at a time."""

    def __init__(self, name: str, answers: Mapping[Address, Callable[[bytes], bytes]]) -> None:
        self.name = name
        self.members = tuple(answers)
        self._answers = dict(answers)
        self._busy = {member: asyncio.Lock() for member in answers}
        self.late = LateReplies()
        self.at_once = max(1, len(answers) * MOST_WAITING)

    def settle(self, member: Address) -> None:
        """Nobody is paid here."""

    def replace(self, failed: Collection[Address]) -> bool:
        """Nobody stands by here."""
        return False

    async def ask(self, member: Address, request: bytes) -> bytes:
        """See `Group.ask`."""
        async with self._busy[member]:
            return await asyncio.to_thread(self._answers[member], request)
