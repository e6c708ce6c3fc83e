"""What a shard boundary costs: `python -m benchmarks.hops`.

Two processes on this machine, each a member's engine with its journal on disk, joined by the real
HTTP transport and sealed envelopes. A hop begins when a member of the first shard hands over a
settled output and ends when a member of the next shard has stored and checked it: signatures of a
quorum, digest of the tensors. Boundaries of up to 256 KiB travel with the hand-over, longer ones
are fetched in parts.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing as mp
import os
import statistics
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.chain.contents import Wanted
from nesa.models.proving.prover import Prover
from nesa.privacy.envelopes import Deployment, ReplayWindow
from nesa.privacy.keys import public_bytes
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.commitments import (
    Attestation,
    ShardContext,
    attestation_hash,
    commitment,
    set_digest,
)
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import Unavailable
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import (
    ZERO_DIGEST,
    Address,
    Amount,
    BlockNumber,
    Digest,
    QueryId,
    Timestamp,
    VersionId,
)
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import Assurance, Privacy, Query, SignedResult
from nesa.protocol.signatures import sign_digest
from nesa.protocol.versions import ShardFacts
from nesa_miner.at_rest import AtRest
from nesa_miner.daemon import LIMITS, Inbox
from nesa_miner.delivering import Deliveries
from nesa_miner.duties import Computation, Duty, Place
from nesa_miner.engine import Engine
from nesa_miner.identity import Identity
from nesa_miner.jobs import JobKey
from nesa_miner.journal import Journal
from nesa_miner.observability import Metrics
from nesa_miner.post import Post
from nesa_miner.surroundings import Runner, Surroundings
from nesa_miner.transport.http import HttpServer, MessagesEndpoint

RESULTS: Final = Path(__file__).parent / "results" / "hops.md"
SIZES: Final = (16 << 10, 512 << 10, 4 << 20)
DEPLOYMENT: Final = Deployment(31337, Address("0x" + "11" * 20))
VERSION: Final = VersionId(Digest(keccak(text="version")))
RULES: Final = QueryParameters(7000, 1000, 500, 0, 20, 2, 20, 2, 60, 30, 120, 60, 20)
REPLICAS: Final = 4
WIDTH: Final = 1024
SEED: Final = Digest(keccak(text="seed block"))
NOW: Final = Timestamp(1_000)


def identity(shard: int, position: int) -> Identity:
    """Keys of the member at a place."""
    signer = PrivateKey(keccak(text=f"signer {shard} {position}"))
    encryption = keccak(text=f"encryption {shard} {position}")
    return Identity(signer, X25519PrivateKey.from_private_bytes(encryption))


def seat(shard: int, position: int, endpoint: str = "") -> Seat:
    """Its seat; those without an endpoint take no part."""
    member = identity(shard, position)
    key = public_bytes(member.encryption)
    return Seat(position, member.address, member.address, endpoint, key)


def query(number: int) -> Query:
    """A query in the open that is always in time."""
    return Query(
        QueryId(number), DEPLOYMENT.market, VERSION, Digest(bytes(32)), bytes(32), Assurance.AGREED,
        Privacy.OPEN, 2, REPLICAS, Amount(800), Amount(0), Amount(0), 0, 3,  # type: ignore[arg-type]
        0, RULES.pack(), NOW, Timestamp(4_000_000_000), 0, BlockNumber(8),
    )  # fmt: skip


def place(number: int, shard: int, size: int, ends: tuple[str, str]) -> Place:
    """The first place of a shard, with `size` bytes between the two shards."""
    shards = tuple(
        tuple(seat(at, place, end if place == 0 else "") for place in range(REPLICAS))
        for at, end in enumerate(ends)
    )
    edge = EdgeType(DType.INT8, (size // WIDTH, WIDTH), -127, 127)
    facts = ShardFacts((edge,), (edge,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    context = ShardContext(DEPLOYMENT.chain_id, DEPLOYMENT.market, QueryId(number), 0, SEED, shard)
    return Place(DrawnCommittees(query(number), SEED, shards, ()), context, 0, facts)


def settled(at: Place, data: bytes) -> ShardEvidence:
    """What a quorum of the first shard signed."""
    context, salt = at.context, bytes(32)
    digests = (Digest(bytes(32)), boundary_digest(at.facts.output_edges, (data,)))
    members = [identity(0, position) for position in range(REPLICAS)]
    entries = tuple(commitment(context, 0, one.address, *digests, salt) for one in members)
    attested = Attestation(
        context.query_id, 0, 0, 0, *digests, ZERO_DIGEST, set_digest(context, 0, entries)
    )
    signed = attestation_hash(context.chain_id, context.market, attested)
    results = tuple(
        SignedResult(position, salt, *sign_digest(members[position].signer, signed))
        for position in range(3)
    )
    return ShardEvidence(0, *digests, entries, results, tensors_out=(data,))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A library that is asked for its shard when the input is there, and has none."""

    arrived: asyncio.Event

    async def runner(self, _: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        """The end of a hop."""
        self.arrived.set()
        raise Unavailable("nothing is computed here")

    async def prover(self, _: VersionId, shard: int) -> Prover:
        """Nothing is proved here."""
        raise Unavailable("nothing is proved here")

    async def circuits(self, _: VersionId) -> CircuitKind:
        """Nothing is proved here."""
        return CircuitKind.PUBLIC

    def release(self, version_id: VersionId, shard: int | None = None) -> None:
        """There is nothing to free."""


@dataclass(slots=True)
class Member:
    """One end: an engine behind a server."""

    engine: Engine
    post: Post
    server: HttpServer
    url: str

    async def close(self) -> None:
        """Stop listening."""
        await self.server.close()
        await self.post.transport.close()
        self.engine.around.journal.close()


async def member(me: Identity, folder: Path, arrived: asyncio.Event) -> Member:
    """A member that listens."""
    post = Post(me, DEPLOYMENT, Metrics(), LIMITS)
    journal = Journal(folder / "journal.sqlite", b"hops", AtRest(me.encryption))
    around = Surroundings(
        me, DEPLOYMENT, journal, Arrival(arrived), _nothing, post.deliver, _nothing,
        _NOBODY, _spawn, time.monotonic, Metrics(),
    )  # fmt: skip
    engine = Engine(around)
    engine.roster.chain_time = NOW
    endpoint = MessagesEndpoint(Inbox(engine, ReplayWindow()).take, LIMITS)
    server = HttpServer(endpoint.routes())
    return Member(engine, post, server, await server.start())


async def _nothing(_: Any) -> Any:
    raise Unavailable("there is no chain here")


class _Nobody:
    """No client publishes anything here."""

    async def published(self, wanted: Wanted, urls: Sequence[str]) -> bytes:
        raise Unavailable("nothing is published here")

    async def kept(self, wanted: Wanted, endpoints: Sequence[str]) -> bytes:
        raise Unavailable("nothing is published here")


_NOBODY: Final = _Nobody()


def _spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work)


def send(pipe: Pipe) -> None:
    """The process of the first shard's member: hands over what it is told to."""
    asyncio.run(_send(pipe))


async def _send(pipe: Pipe) -> None:
    with tempfile.TemporaryDirectory(prefix="nesa-hops-") as folder:
        sender = await member(identity(0, 0), Path(folder), asyncio.Event())
        pipe.send(sender.url)
        while (told := await asyncio.to_thread(pipe.recv)) is not None:
            number, size, receiver = told
            at = place(number, 0, size, (sender.url, receiver))
            evidence = settled(at, os.urandom(size).replace(b"\x80", b"\0"))
            done = Computation(evidence.in_digest, is_refused=True, evidence=evidence)
            duty = Duty(JobKey((number, 0)), query(number), b"", at, computations=(done,))
            engine = sender.engine
            engine.roster.duties = {duty.key: duty}
            pipe.send("ready")
            await asyncio.to_thread(pipe.recv)
            deliveries = Deliveries(engine.around, engine.roster)
            await deliveries.insist(duty, at.downstream[0], evidence.handoff(at.context))
        await sender.close()


async def receive(pipe: Pipe, runs: int) -> dict[int, list[float]]:
    """Seconds of `runs` hops of each size, the first one left out."""
    arrived = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="nesa-hops-") as folder:
        receiver = await member(identity(1, 0), Path(folder), arrived)
        upstream = await asyncio.to_thread(pipe.recv)
        found: dict[int, list[float]] = {}
        for number in range((runs + 1) * len(SIZES)):
            size = SIZES[number % len(SIZES)]
            seconds = await _hop(receiver, pipe, (number, size, upstream), arrived)
            found.setdefault(size, []).append(seconds)
        pipe.send(None)
        await receiver.close()
    return {size: seconds[1:] for size, seconds in found.items()}


async def _hop(
    receiver: Member, pipe: Pipe, what: tuple[int, int, str], arrived: asyncio.Event
) -> float:
    number, size, upstream = what
    at = place(number, 1, size, (upstream, receiver.url))
    duty = Duty(JobKey((number, 0)), query(number), b"").drawn_at(at)
    receiver.engine.roster.duties = {duty.key: duty}
    pipe.send((number, size, receiver.url))
    await asyncio.to_thread(pipe.recv)
    arrived.clear()
    began = time.perf_counter()
    pipe.send("go")
    async with asyncio.timeout(60):
        await arrived.wait()
    return time.perf_counter() - began


def table(found: dict[int, list[float]]) -> str:
    """The page."""
    lines = [
        "# What a shard boundary costs",
        "",
        f"Two processes on one machine with {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}"
        " at the end), loopback, sealed envelopes, journals on disk. From hand-over to stored and"
        " checked. Written by `python -m benchmarks.hops`.",
        "",
        "| boundary | hops | median | slowest | throughput |",
        "|---:|---:|---:|---:|---:|",
    ]
    for size, seconds in found.items():
        median = statistics.median(seconds)
        lines.append(
            f"| {size >> 10} KiB | {len(seconds)} | {1000 * median:.1f} ms"
            f" | {1000 * max(seconds):.1f} ms | {size / median / (1 << 20):.1f} MiB/s |"
        )
    return "\n".join(lines) + "\n"


def measure(runs: int) -> dict[int, list[float]]:
    """Hops of every size in turn."""
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    sender = context.Process(target=send, args=(theirs,))
    sender.start()
    try:
        return asyncio.run(receive(ours, runs))
    finally:
        sender.join(10)
        if sender.is_alive():
            sender.kill()


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description="Measures the hand-over between two shards.")
    parser.add_argument("--runs", type=int, default=21, help="hops of each size")
    page = table(measure(parser.parse_args().runs))
    RESULTS.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
