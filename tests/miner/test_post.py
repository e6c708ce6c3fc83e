"""Members who do not answer cost a bounded line, and what waited is sealed when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.committees import Seat
from nesa.privacy.keys import public_bytes
from nesa.protocol.commitments import ShardContext
from nesa.protocol.envelopes import decode_envelope
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import Digest, QueryId
from nesa.protocol.messages import Inquiry
from nesa_miner import post as posting
from nesa_miner.identity import Identity
from nesa_miner.observability import Metrics
from nesa_miner.post import Line, Post
from nesa_miner.transport.http import HttpServer, Limits, MessagesEndpoint
from tests.miner.committee_network import DEPLOYMENT

SENDER = Identity(PrivateKey(keccak(text="sender")), X25519PrivateKey.generate())
RECEIVER = Identity(PrivateKey(keccak(text="receiver")), X25519PrivateKey.generate())
CONTEXT = ShardContext(DEPLOYMENT.chain_id, DEPLOYMENT.market, QueryId(1), 0, Digest(bytes(32)), 0)
LIMITS = Limits(timeout=60, to_peer=2, waiting=3)


@dataclass
class Inbox:
    """Refuses the first envelopes for now and takes the others."""

    refusals: int = 0
    seen: list[bytes] = field(default_factory=list)

    async def __call__(self, envelope: bytes) -> None:
        self.seen.append(envelope)
        if len(self.seen) <= self.refusals:
            raise Unavailable("not yet")


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    made = Post(SENDER, DEPLOYMENT, Metrics(), LIMITS)
    yield made
    await made.transport.close()


def seat_at(endpoint: str) -> Seat:
    key = public_bytes(RECEIVER.encryption)
    return Seat(0, RECEIVER.address, RECEIVER.address, endpoint, key)


async def test_every_try_is_sealed_anew(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "FIRST_PAUSE", 0.01)
    inbox = Inbox(refusals=2)
    server = HttpServer(MessagesEndpoint(inbox).routes())
    assert await post.deliver(seat_at(await server.start()), Inquiry(CONTEXT, 0))
    assert len({decode_envelope(envelope).nonce for envelope in inbox.seen}) == 3
    await server.close()


async def test_a_peer_that_does_not_answer_has_a_short_line(post: Post) -> None:
    async def swallow(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    hole = await asyncio.start_server(swallow, "127.0.0.1", 0)
    seat = seat_at(f"http://127.0.0.1:{hole.sockets[0].getsockname()[1]}")
    sends = [
        asyncio.create_task(post.deliver(seat, Inquiry(CONTEXT, round_))) for round_ in range(20)
    ]
    async with asyncio.timeout(30):
        while sum(send.done() for send in sends) < 15:
            await asyncio.sleep(0.01)
    assert [send.done() for send in sends] == [False] * 2 + [True] * 15 + [False] * 3
    assert not any(send.result() for send in sends if send.done())
    for send in sends:
        send.cancel()
    await asyncio.gather(*sends, return_exceptions=True)
    hole.close()


async def test_what_is_to_come_again_holds_up_nothing_else(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the pause of another message."""
    monkeypatch.setattr(posting, "FIRST_PAUSE", 600.0)
    inbox = Inbox(refusals=LIMITS.to_peer)
    server = HttpServer(MessagesEndpoint(inbox).routes())
    seat = seat_at(await server.start())
    first = [
        asyncio.create_task(post.deliver(seat, Inquiry(CONTEXT, round_)))
        for round_ in range(LIMITS.to_peer)
    ]
    while len(inbox.seen) < LIMITS.to_peer:
        await asyncio.sleep(0.001)
    assert await post.deliver(seat, Inquiry(CONTEXT, 9))
    for send in first:
        send.cancel()
    await asyncio.gather(*first, return_exceptions=True)
    await server.close()


async def test_one_peers_line_is_nobody_elses(post: Post) -> None:
    line = Line(0, 3)
    post._lines[RECEIVER.address] = line
    waiting = asyncio.create_task(post.deliver(seat_at("http://127.0.0.1:9"), Inquiry(CONTEXT, 0)))
    inbox = Inbox()
    server = HttpServer(MessagesEndpoint(inbox).routes())
    other = replace(seat_at(await server.start()), signer=SENDER.address)
    assert await post.deliver(other, Inquiry(CONTEXT, 0))
    waiting.cancel()
    await server.close()


async def visit(line: Line, name: int, visits: list[int], leave: asyncio.Event) -> None:
    async with line.turn() as is_turn:
        visits.append(name if is_turn else -name)
        if is_turn:
            await leave.wait()


async def test_who_waits_longest_goes_first_or_makes_room() -> None:
    line, visits, leave = Line(1, 2), list[int](), asyncio.Event()
    tasks = [asyncio.create_task(visit(line, name, visits, leave)) for name in (1, 2, 3, 4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert visits == [1, -2]
    leave.set()
    await asyncio.gather(*tasks)
    assert visits == [1, -2, 3, 4]


async def test_who_gives_up_leaves_the_line_to_the_others() -> None:
    line, visits, leave = Line(1, 3), list[int](), asyncio.Event()
    tasks = [asyncio.create_task(visit(line, name, visits, leave)) for name in (1, 2, 3, 4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    leave.set()
    await asyncio.sleep(0)
    tasks[2].cancel()  # it was its turn, and it has not noticed
    await asyncio.gather(*tasks, return_exceptions=True)
    assert visits == [1, 4]
    assert (line._inside, len(line._waiting)) == (0, 0)
