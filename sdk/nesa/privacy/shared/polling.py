"""Asks all members of a group at once, until a quorum of them agrees or the time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nesa.privacy.shared.agreeing import Claim, settled
from nesa.privacy.shared.groups import Group
from nesa.protocol.commitments import quorum
from nesa.protocol.errors import GroupDivided, GroupSilent, NesaError
from nesa.protocol.ids import Address

Read = Callable[[bytes, Address], Claim]


@dataclass(slots=True)
class Poll:
    """What came of asking a group: claims, and for each other member why there is none of it.

    `late` are replies that the quorum did not wait for; they are of use until `until`, a time of
    the loop's clock, and are the caller's to take or to cancel.
    """

    group: str
    replicas: int
    until: float
    claims: list[Claim] = field(default_factory=list)
    refused: dict[Address, str] = field(default_factory=dict)
    late: dict[Address, asyncio.Future[bytes]] = field(default_factory=dict)

    def agreed(self) -> tuple[Claim, ...]:
        """The quorum's claims; everybody who said something else is named in `refused`.

        Raises:
            GroupSilent: too few claims for a quorum.
            GroupDivided: enough of them, but no quorum alike.
        """
        agreed = settled(self.claims, self.replicas)
        if agreed:
            for claim in self.claims:
                if claim not in agreed:
                    self.refused[claim.member] = "signed other sums than the quorum"
            return agreed
        reasons = "; ".join(f"{member} {reason}" for member, reason in self.refused.items())
        found = f"{len(self.claims)} of {self.replicas} members of group {self.group!r} answered"
        if len(self.claims) < quorum(self.replicas):
            raise GroupSilent(
                self.group, f"{found}, too few for a quorum ({reasons}); choose another group"
            )
        raise GroupDivided(self.group, f"{found}, no quorum alike; choose another group")


async def poll(group: Group, request: bytes, read: Read, seconds: float) -> Poll:
    """Claims of the members, as they come, until a quorum of them is alike.

    An answer that `read` refuses counts as none. A member that is at work on an earlier product is
    asked once it is done with it, and not at all where the quorum does without it.
    """
    clock = asyncio.get_running_loop()
    found = Poll(group.name, len(group.members), clock.time() + seconds)
    sent: set[Address] = set()

    async def ask(member: Address) -> bytes:
        await group.late.arrived(member)
        sent.add(member)
        return await group.ask(member, request)

    asked = {asyncio.ensure_future(ask(member)): member for member in group.members}
    pending = set(asked)
    try:
        while pending and not settled(found.claims, found.replicas):
            left = max(0.0, found.until - clock.time())
            done, pending = await asyncio.wait(
                pending, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                found.refused.update((asked[task], "did not answer in time") for task in pending)
                break
            for task in done:
                _note(found, asked[task], task, read)
        else:
            found.late = {asked[task]: task for task in pending if asked[task] in sent}
    finally:
        given_up = [task for task in asked if asked[task] not in found.late]
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
    return found


def _note(found: Poll, member: Address, task: asyncio.Future[bytes], read: Read) -> None:
    try:
        found.claims.append(read(task.result(), member))
    except NesaError as error:
        found.refused[member] = str(error)
