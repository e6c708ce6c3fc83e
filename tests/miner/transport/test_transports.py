"""What every transport must do, and what each does with a bad network or a bad peer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest

from nesa.chain import listening
from nesa.protocol.envelopes import MAX_ENVELOPE_BYTES, MESSAGES_PATH
from nesa.protocol.errors import ExhaustedResource, InvalidMessage, Unavailable
from nesa.protocol.ids import Address
from nesa_miner.transport.base import Transport
from nesa_miner.transport.http import HttpServer, HttpTransport, Limits, MessagesEndpoint
from nesa_miner.transport.memory import Conditions, MemoryNetwork

SENDER = Address("0x" + "aa" * 20)
RECEIVER = Address("0x" + "bb" * 20)
STRANGER = Address("0x" + "cc" * 20)
LIMITS = Limits(timeout=30, from_peer=4)


@dataclass
class Inbox:
    """Takes envelopes; `answer` decides what happens to each."""

    taken: list[bytes] = field(default_factory=list)
    answer: Callable[[bytes], Awaitable[None]] | None = None

    async def __call__(self, envelope: bytes) -> None:
        if self.answer is not None:
            await self.answer(envelope)
        self.taken.append(envelope)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def endpoint(inbox: Inbox) -> AsyncIterator[str]:
    server = HttpServer(MessagesEndpoint(inbox, LIMITS).routes())
    yield await server.start()
    await server.close()


@pytest.fixture(params=["memory", "http"])
async def transport(
    request: pytest.FixtureRequest, inbox: Inbox, endpoint: str
) -> AsyncIterator[Transport]:
    if request.param == "memory":
        network = MemoryNetwork()
        network.join(RECEIVER, inbox)
        made: Transport = network.join(SENDER, Inbox())
    else:
        made = HttpTransport({RECEIVER: endpoint}.get, LIMITS)
    yield made
    await made.close()


async def test_an_envelope_arrives_as_it_was_sent(transport: Transport, inbox: Inbox) -> None:
    envelopes = [b"", b"\x00\xff", random.Random(1).randbytes(MAX_ENVELOPE_BYTES)]
    for envelope in envelopes:
        await transport.send(RECEIVER, envelope)
    assert inbox.taken == envelopes


async def test_many_at_once_all_arrive(transport: Transport, inbox: Inbox) -> None:
    envelopes = [bytes([number]) for number in range(40)]
    for start in range(0, 40, 4):
        batch = envelopes[start : start + 4]
        await asyncio.gather(*(transport.send(RECEIVER, data) for data in batch))
    assert sorted(inbox.taken) == envelopes


async def test_an_unknown_receiver_is_unavailable(transport: Transport) -> None:
    with pytest.raises(Unavailable):
        await transport.send(STRANGER, b"hello")


async def test_a_longer_envelope_than_allowed_is_not_sent(
    transport: Transport, inbox: Inbox
) -> None:
    with pytest.raises(InvalidMessage):
        await transport.send(RECEIVER, bytes(MAX_ENVELOPE_BYTES + 1))
    assert inbox.taken == []


async def test_a_refusal_reaches_the_sender(transport: Transport, inbox: Inbox) -> None:
    async def refuse(_: bytes) -> None:
        raise InvalidMessage("the envelope is for another receiver")

    inbox.answer = refuse
    with pytest.raises(InvalidMessage, match="another receiver"):
        await transport.send(RECEIVER, b"hello")


async def test_a_busy_receiver_is_unavailable(transport: Transport, inbox: Inbox) -> None:
    async def give_up(_: bytes) -> None:
        raise ExhaustedResource("full")

    inbox.answer = give_up
    with pytest.raises(Unavailable):
        await transport.send(RECEIVER, b"hello")


async def test_a_closed_receiver_is_unavailable(inbox: Inbox) -> None:
    server = HttpServer(MessagesEndpoint(inbox).routes())
    url = await server.start()
    await server.close()
    transport = HttpTransport({RECEIVER: url}.get, LIMITS)
    with pytest.raises(Unavailable):
        await transport.send(RECEIVER, b"hello")
    await transport.close()


async def test_a_silent_peer_costs_one_timeout(inbox: Inbox) -> None:
    async def never_answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2)
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = HttpTransport({RECEIVER: f"http://127.0.0.1:{port}"}.get, Limits(timeout=0.2))
    with pytest.raises(Unavailable):
        await transport.send(RECEIVER, b"hello")
    await transport.close()
    server.close()


@pytest.mark.parametrize(
    "answer",
    [b"garbage\r\n\r\n", b"", b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"],
)
async def test_a_peer_that_answers_garbage_is_unavailable(answer: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = HttpTransport({RECEIVER: f"http://127.0.0.1:{port}"}.get, LIMITS)
    with pytest.raises(Unavailable):
        await transport.send(RECEIVER, b"hello")
    await transport.close()
    server.close()


async def test_a_server_refuses_endless_bodies(endpoint: str, inbox: Inbox) -> None:
    async def endless():
        while True:
            yield bytes(1 << 20)

    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(endpoint + MESSAGES_PATH, data=endless()) as response:
                assert response.status == 413
        except aiohttp.ClientError:
            pass  # the server closed the connection while we were still writing
    assert inbox.taken == []


async def test_a_server_does_not_wait_for_slow_bodies(inbox: Inbox) -> None:
    server = HttpServer(MessagesEndpoint(inbox, Limits(timeout=0.5)).routes())
    host, port = (await server.start()).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {MESSAGES_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na".encode())
    answer = await asyncio.wait_for(reader.read(64), 30)
    writer.close()
    await server.close()
    assert b"408" in answer
    assert inbox.taken == []


async def settled(sends: list[asyncio.Task[None]], least: int) -> int:
    """How many end before anything is released, once `least` have and a moment has passed."""
    async with asyncio.timeout(30):
        while sum(send.done() for send in sends) < least:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    return sum(send.done() for send in sends)


async def test_one_peer_cannot_take_all_the_room(inbox: Inbox) -> None:
    release = asyncio.Event()

    async def wait(_: bytes) -> None:
        await release.wait()

    inbox.answer = wait
    server = HttpServer(MessagesEndpoint(inbox, Limits(timeout=60, from_peer=4)).routes())
    url = await server.start()
    transport = HttpTransport({RECEIVER: url}.get, Limits(timeout=60, to_peer=8))
    sends = [asyncio.create_task(transport.send(RECEIVER, b"x")) for _ in range(8)]
    assert await settled(sends, 4) == 4
    release.set()
    outcomes = await asyncio.gather(*sends, return_exceptions=True)
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 4
    await transport.close()
    await server.close()


async def test_what_peers_send_at_once_is_bounded_in_bytes(inbox: Inbox) -> None:
    release = asyncio.Event()

    async def wait(_: bytes) -> None:
        await release.wait()

    inbox.answer = wait
    limits = Limits(timeout=60, bytes_from_peer=100_000)
    server = HttpServer(MessagesEndpoint(inbox, limits).routes())
    own = Limits(timeout=60, to_peer=8)
    transport = HttpTransport({RECEIVER: await server.start()}.get, own)
    sends = [asyncio.create_task(transport.send(RECEIVER, bytes(30_000))) for _ in range(8)]
    assert await settled(sends, 5) == 5
    assert all(isinstance(send.exception(), Unavailable) for send in sends if send.done())
    release.set()
    await asyncio.gather(*(send for send in sends if not send.done()))
    await transport.send(RECEIVER, bytes(90_000))
    await transport.close()
    await server.close()


async def test_peers_that_do_not_answer_keep_nobody_else_waiting(
    endpoint: str, inbox: Inbox
) -> None:
    async def swallow(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    holes = [await asyncio.start_server(swallow, "127.0.0.1", 0) for _ in range(13)]
    ports = [hole.sockets[0].getsockname()[1] for hole in holes]
    silent = {
        Address(f"0x{number:040x}"): f"http://127.0.0.1:{port}" for number, port in enumerate(ports)
    }
    transport = HttpTransport({**silent, RECEIVER: endpoint}.get, Limits(timeout=60))
    sends = [
        asyncio.create_task(transport.send(peer, b"lost")) for peer in silent for _ in range(8)
    ]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(30):
        await transport.send(RECEIVER, b"hello")
    assert inbox.taken == [b"hello"]
    for send in sends:
        send.cancel()
    await asyncio.gather(*sends, return_exceptions=True)
    await transport.close()
    for hole in holes:
        hole.close()


async def test_a_full_server_lets_go_of_its_oldest_connections(inbox: Inbox) -> None:
    server = HttpServer(MessagesEndpoint(inbox).routes(), limits=Limits(connections=4))
    url = await server.start()
    host, port = url.removeprefix("http://").split(":")
    idle = [await asyncio.open_connection(host, int(port)) for _ in range(4)]
    refused, _ = await asyncio.open_connection(host, int(port))
    assert await ended(refused)
    assert await ended(idle[0][0])
    transport = HttpTransport({RECEIVER: url}.get, LIMITS)
    await transport.send(RECEIVER, b"hello")
    assert not idle[3][0].at_eof()
    await transport.close()
    await server.close()


async def test_a_silent_connection_is_closed(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "IDLE_SECONDS", 0.1)
    server = HttpServer(MessagesEndpoint(inbox).routes())
    host, port = (await server.start()).removeprefix("http://").split(":")
    reader, _ = await asyncio.open_connection(host, int(port))
    assert await ended(reader)
    await server.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side closes the connection."""
    async with asyncio.timeout(30):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


async def test_a_server_listens_on_this_machine_only(endpoint: str) -> None:
    assert endpoint.startswith("http://127.0.0.1:")


async def test_a_memory_network_loses_doubles_and_delays_as_told(inbox: Inbox) -> None:
    network = MemoryNetwork(Conditions(delay=(0.001, 0.01), loss=0.3, duplication=0.3))
    network.join(RECEIVER, inbox)
    sender = network.join(SENDER, Inbox())
    envelopes = [bytes([number]) for number in range(100)]
    for envelope in envelopes:
        await sender.send(RECEIVER, envelope)
    await network.settle()
    assert 40 < len(set(inbox.taken)) < 100
    assert len(inbox.taken) > len(set(inbox.taken))
    assert inbox.taken != sorted(inbox.taken)


async def test_a_partition_keeps_members_apart(inbox: Inbox) -> None:
    network = MemoryNetwork(partitions=[frozenset({SENDER})])
    network.join(RECEIVER, inbox)
    sender = network.join(SENDER, Inbox())
    with pytest.raises(Unavailable):
        await sender.send(RECEIVER, b"hello")
    network.partitions.clear()
    await sender.send(RECEIVER, b"hello")
    assert inbox.taken == [b"hello"]


async def test_a_tampering_network_delivers_what_it_likes(inbox: Inbox) -> None:
    network = MemoryNetwork(tamper=lambda _sender, _receiver, data: (data, data[::-1]))
    network.join(RECEIVER, inbox)
    await network.join(SENDER, Inbox()).send(RECEIVER, b"ab")
    assert inbox.taken == [b"ab", b"ba"]
