"""What kill -9 makes of a miner, in every state of its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from nesa.protocol.ids import Address
from nesa.protocol.messages import Lock, Message, Reveal
from tests.miner.committee_network import CommitteeNetwork, open_request
from tests.miner.test_engine import right_answer

VICTIM = 1
STATES = 10
"""Messages that a member of the first shard sends before it has handed its result over."""


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()


def said(network: CommitteeNetwork, signer: Address) -> list[Message]:
    return [message for sender, message in network.delivered if sender == signer]


async def until_said(network: CommitteeNetwork, signer: Address, count: int) -> None:
    """Goes on until the victim has sent so many messages, or nothing is left to send."""
    async with asyncio.timeout(60):
        while len(said(network, signer)) < count and len(network.evidence(1)) < 3:
            for miner in network.miners:
                if miner.engine is not None:
                    miner.engine.advance()
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("state", range(STATES))
async def test_restart_each_state(network: CommitteeNetwork, state: int) -> None:
    """Somebody kills a member after each message that it sends, so that it forgets its word and
    says another: it comes back from its journal, locks one set a round, opens one result, and the
    query is answered."""
    signer = network.miners[VICTIM].seat.signer
    network.tell(open_request(network.model, 3))
    await until_said(network, signer, state)
    network.kill(VICTIM)
    network.start(VICTIM)
    network.tell_one(network.miners[VICTIM], open_request(network.model, 3))
    for evidence in await network.settle(1, 3):
        assert evidence.payload == right_answer(network, 3)
    mine = said(network, signer)
    locks = {(m.round, m.set_digest) for m in mine if isinstance(m, Lock) and m.position == VICTIM}
    assert len(locks) == len({round_ for round_, _ in locks})
    opened = {m.out_digest for m in mine if isinstance(m, Reveal) and m.position == VICTIM}
    assert len(opened) <= 1
    assert network.failures == []
