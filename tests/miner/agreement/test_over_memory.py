"""A committee over the memory network, with sealed and signed envelopes and a real clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from nesa.privacy.envelopes import (
    Deployment,
    Receiver,
    ReplayWindow,
    open_envelope,
    seal_envelope,
)
from nesa.privacy.keys import generate_key
from nesa.protocol.evidence import ShardEvidence, verify_evidence
from nesa.protocol.ids import Timestamp
from nesa.protocol.messages import MemberMessage
from nesa_miner.agreement import (
    Action,
    Event,
    MessageReceived,
    Send,
    Settled,
    State,
    Tick,
    Timing,
    begin,
    next_wake,
    step,
)
from nesa_miner.transport.memory import Conditions, MemoryNetwork, MemoryTransport
from tests.miner.agreement.committees import CONTEXT, address, committee, key, start

DEPLOYMENT = Deployment(CONTEXT.chain_id, CONTEXT.market)
MEMBERS = [address(position) for position in range(4)]
ENCRYPTION = [generate_key() for _ in range(4)]
TIMING = Timing(commit=1.5, lock=1.5, reveal=1.5, inquire=1.0)


@dataclass
class Member:
    """The thinnest daemon around the machine."""

    position: int
    state: State
    window: ReplayWindow = field(default_factory=ReplayWindow)
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    evidence: ShardEvidence | None = None
    transport: MemoryTransport | None = None

    async def receive(self, envelope: bytes) -> None:
        opened = open_envelope(
            envelope,
            deployment=DEPLOYMENT,
            me=MEMBERS[self.position],
            key=ENCRYPTION[self.position],
            window=self.window,
            now=Timestamp(int(time.time())),
        )
        assert isinstance(opened.message, MemberMessage)
        await self.events.put(MessageReceived(MEMBERS.index(opened.sender), opened.message))

    async def run(self) -> None:
        while True:
            due = next_wake(self.state)
            pause = None if due is None else max(due - time.monotonic(), 0.0)
            event: Event = Tick()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    event = await self.events.get()
            self.state, actions = step(self.state, event, time.monotonic())
            for action in actions:
                await self.perform(action)

    async def perform(self, action: Action) -> None:
        if isinstance(action, Settled):
            self.evidence = action.evidence
            self.settled.set()
        if isinstance(action, Send) and self.transport is not None:
            for receiver in action.positions:
                envelope = seal_envelope(
                    action.message,
                    deployment=DEPLOYMENT,
                    signer=key(self.position),
                    receiver=Receiver(MEMBERS[receiver], ENCRYPTION[receiver].public_key()),
                    nonce=os.urandom(16),
                    deadline=Timestamp(int(time.time()) + 30),
                )
                await self.transport.send(MEMBERS[receiver], envelope)


async def agree(conditions: Conditions, dead: Sequence[int] = ()) -> list[Member]:
    network = MemoryNetwork(conditions)
    members = [Member(place, begin(committee(place, timing=TIMING))) for place in range(4)]
    for member in members:
        quiet = member.position in dead
        handler = member.receive if not quiet else _ignore
        member.transport = network.join(MEMBERS[member.position], handler)
        if not quiet:
            member.events.put_nowait(start(member.position))
    alive = [member for member in members if member.position not in dead]
    tasks = [asyncio.create_task(member.run()) for member in alive]
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(member.settled.wait() for member in alive))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await network.settle()
    return alive


async def _ignore(_: bytes) -> None:
    return None


@pytest.mark.parametrize(
    ("conditions", "dead"),
    [
        (Conditions(), ()),
        (Conditions(delay=(0.001, 0.05), loss=0.1, duplication=0.1), ()),
        (Conditions(delay=(0.001, 0.01)), (3,)),
    ],
    ids=["quiet", "bad", "one dead"],
)
async def test_a_committee_settles_over_envelopes(
    conditions: Conditions, dead: Sequence[int]
) -> None:
    for member in await agree(conditions, dead):
        assert member.evidence is not None
        verify_evidence(CONTEXT, MEMBERS, 4, member.evidence)
