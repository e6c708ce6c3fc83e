"""Miners' engines in one process, joined by memory: real shards, keys, journals and agreement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.committees import DrawnCommittees, Seat, seats_wanted
from nesa.chain.connection import Block
from nesa.chain.contents import Wanted
from nesa.chain.events import ChainEvent, LogKey, QueryFulfilled, QueryRequested
from nesa.chain.logs import Batch, Cursor, ReadBlock, Undone
from nesa.models.folder import CompiledModel, load
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.models.proving.prover import Prover
from nesa.models.runtime import ShardRunner
from nesa.privacy.envelopes import Deployment, Opened
from nesa.privacy.keys import public_bytes, public_key
from nesa.privacy.sealing import WrapContext, input_digest, seal_input, wrap_content_key
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import ExhaustedResource, InvalidInput, Unavailable
from nesa.protocol.evidence import ShardEvidence, decode_evidence
from nesa.protocol.ids import Address, Amount, BlockNumber, Digest, QueryId, Timestamp, VersionId
from nesa.protocol.messages import ContentKey, Message
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import Assurance, CallbackResult, Outcome, Privacy, Query, ShardOutcome
from nesa.protocol.versions import ShardFacts
from nesa_miner.agreement.terms import Timing
from nesa_miner.at_rest import AtRest
from nesa_miner.claims import Claim
from nesa_miner.contents import kept_content
from nesa_miner.engine import Engine
from nesa_miner.identity import Identity
from nesa_miner.jobs import JobKey
from nesa_miner.journal import Journal
from nesa_miner.observability import Metrics
from nesa_miner.surroundings import Runner, Surroundings

MODEL = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
DEPLOYMENT = Deployment(31337, Address("0x" + "11" * 20))
REQUESTER = PrivateKey(keccak(text="client"))
VERSION = VersionId(keccak(text="version"))
RULES = QueryParameters(7000, 1000, 500, 0, 20, 2, 20, 2, 60, 30, 120, 60, 20)
QUICK = Timing(commit=0.5, lock=0.2, reveal=0.2, inquire=0.1)
SEED_BLOCK = BlockNumber(8)


def address_of(key: PrivateKey) -> Address:
    return Address(key.public_key.to_checksum_address())


@dataclass(slots=True)
class MemoryLibrary:
    """Shards of a compiled model; `tampers` names those whose output this miner falsifies."""

    model: CompiledModel
    tampers: bool = False
    released: list[VersionId] = field(default_factory=list)

    async def runner(self, _: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        facts = self.model.shards[shard]
        runner = ShardRunner(self.model.shard_file(shard), facts)
        return facts, (Falsifier(runner) if self.tampers else runner)

    async def prover(self, _: VersionId, shard: int) -> Prover:
        raise AssertionError("nothing is proved here")

    async def circuits(self, _: VersionId) -> CircuitKind:
        return self.model.card.circuits

    async def outline(self, _: VersionId) -> Table:
        return self.model.table

    async def witness(self, _: VersionId, shard: int, tensors: Sequence[bytes]) -> Witness:
        return Witness.of_shard(self.model.table, shard, tensors)

    def release(self, version_id: VersionId, shard: int | None = None) -> None:
        self.released.append(version_id)


@dataclass(frozen=True, slots=True)
class Falsifier:
    """Runs a shard and changes the first element of what comes out."""

    honest: ShardRunner

    def run(self, tensors: Any) -> tuple[bytes, ...]:
        (output,) = self.honest.run(tensors)
        return (bytes([output[0] ^ 1]) + output[1:],)


@dataclass(slots=True)
class MemoryContents:
    """What clients publish, and what the other miners hand out, without a network between."""

    network: CommitteeNetwork
    miner: MemoryMiner

    async def published(self, wanted: Wanted, urls: Sequence[str]) -> bytes:
        await asyncio.sleep(0)
        for url in urls:
            self.network.asked.append((self.miner.seat.signer, url))
            found = self.network.published.get((url, self.miner.seat.signer))
            if found is not None and is_wanted(wanted, found):
                return found
        raise Unavailable("it is not published for this miner")

    async def kept(self, wanted: Wanted, endpoints: Sequence[str]) -> bytes:
        await asyncio.sleep(0)
        for endpoint in endpoints:
            for miner in self.network.miners:
                if miner.seat.endpoint != endpoint or miner.engine is None:
                    continue
                kept = kept_content(miner.engine.around, wanted.query_id, wanted.name)
                found = self.network.falsified.get(endpoint, kept and kept())
                if found is not None and is_wanted(wanted, found):
                    return found
        raise Unavailable("nobody hands it out")


def is_wanted(wanted: Wanted, data: bytes) -> bool:
    try:
        wanted.check(data)
    except InvalidInput:
        return False
    return len(data) <= wanted.size


@dataclass(slots=True)
class MemoryMiner:
    """One engine and everything around it."""

    identity: Identity
    seat: Seat
    journal_path: Path
    library: MemoryLibrary
    engine: Engine | None = None
    is_up: bool = True


@dataclass(slots=True, repr=False)
class CommitteeNetwork:
    """Two shards of four miners each, unless `lineups` has others for a seed.

    Of a longer lineup as many are drawn as slots of the shard are `absent`.
    `failures` are what would have ended a daemon. A content is `published` by URL for single
    miners, `falsified` by the endpoint of who hands it out, and URLs were `asked` by signers.
    """

    folder: Path
    model: CompiledModel = field(default_factory=lambda: load(MODEL))
    miners: list[MemoryMiner] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    seed: Digest = field(default_factory=lambda: Digest(keccak(text="seed block")))
    delivered: list[tuple[Address, Message]] = field(default_factory=list)
    claimed: list[tuple[Address, Claim]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    lineups: dict[Digest, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    absent: tuple[tuple[int, ...], ...] = ((), ())
    published: dict[tuple[str, Address], bytes] = field(default_factory=dict)
    falsified: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[Address, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(8):
            self.miners.append(self._miner(number))
            self.start(number)

    def _miner(self, number: int) -> MemoryMiner:
        signer = PrivateKey(keccak(text=f"signer {number}"))
        encryption = X25519PrivateKey.from_private_bytes(keccak(text=f"encryption {number}"))
        identity = Identity(signer, encryption)
        owner = address_of(PrivateKey(keccak(text=f"owner {number}")))
        key = public_bytes(encryption)
        seat = Seat(number % 4, owner, identity.address, f"memory://{number}", key)
        path = self.folder / f"journal-{number}.sqlite"
        return MemoryMiner(identity, seat, path, MemoryLibrary(self.model))

    def start(self, number: int, **changed: Any) -> None:
        """Start a miner from its journal, with some of its surroundings `changed`."""
        miner = self.miners[number]
        at_rest = AtRest(miner.identity.encryption, former=miner.identity.former)
        journal = Journal(miner.journal_path, b"identity", at_rest)
        surroundings = Surroundings(
            miner.identity,
            DEPLOYMENT,
            journal,
            miner.library,
            self.read_committees,
            self.deliverer(miner),
            self.claimer(miner),
            MemoryContents(self, miner),
            self.spawn,
            time.monotonic,
            Metrics(),
            QUICK,
        )
        miner.engine = Engine(replace(surroundings, **changed))
        miner.engine.restart()
        miner.is_up = True

    def kill(self, number: int) -> None:
        """Stop a miner without giving it a chance to do anything."""
        miner = self.miners[number]
        miner.is_up = False
        if miner.engine is not None:
            miner.engine.around.journal.close()
            miner.engine.duties.clear()
            miner.engine = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.failures.append(failure)

    async def read_committees(self, query: Query) -> DrawnCommittees:
        seed = self.seed
        lineup = self.lineups.get(seed, ((0, 1, 2, 3), (4, 5, 6, 7)))
        shards = tuple(
            tuple(
                self.miners[number].seat for number in drawn[: seats_wanted(query, shard) + spares]
            )
            for shard, (drawn, spares) in enumerate(zip(lineup, map(len, self.absent), strict=True))
        )
        absent = self.absent
        await asyncio.sleep(0)
        return DrawnCommittees(query, seed, shards, (), absent)

    def claimer(self, miner: MemoryMiner) -> Any:
        async def claim(claim: Claim) -> None:
            self.claimed.append((miner.seat.signer, claim))

        return claim

    def deliverer(self, miner: MemoryMiner) -> Any:
        async def deliver(seat: Seat, message: Message) -> bool:
            if not miner.is_up:
                return True
            await asyncio.sleep(0)
            self.delivered.append((miner.seat.signer, message))
            try:
                return self.post(seat.signer, Opened(miner.identity.address, message))
            except (Unavailable, ExhaustedResource):
                return False
            except InvalidInput:
                return True

        return deliver

    def post(self, receiver: Address, opened: Opened) -> bool:
        """Whether the receiver is there to take it; its errors come through."""
        for miner in self.miners:
            if miner.seat.signer == receiver and miner.engine is not None:
                miner.engine.receive(opened)
                miner.engine.advance()
                return True
        return False

    def tell(
        self,
        *events: ChainEvent,
        head: int = SEED_BLOCK,
        time_: int = 1_000,
        undone: Sequence[ChainEvent] = (),
    ) -> None:
        """Every miner reads the same batch."""
        for miner in self.miners:
            if miner.engine is not None:
                self.tell_one(miner, *events, head=head, time_=time_, undone=undone)

    def tell_one(
        self,
        miner: MemoryMiner,
        *events: ChainEvent,
        head: int = SEED_BLOCK,
        time_: int = 1_000,
        undone: Sequence[ChainEvent] = (),
    ) -> None:
        assert miner.engine is not None
        number = BlockNumber(head)
        blocks = (ReadBlock(number, self.seed),)
        tip = Block(number, self.seed, self.seed, Timestamp(time_), 0)
        gone = tuple(Undone(event.log) for event in undone)
        miner.engine.apply(Batch(gone, events, Cursor(blocks), tip, True))
        miner.engine.advance()

    async def settle(self, shard: int, wanted: int, seconds: float = 60.0) -> list[ShardEvidence]:
        """Evidence of at least `wanted` members of a shard.

        Raises:
            TimeoutError: they do not settle.
        """
        async with asyncio.timeout(seconds):
            while True:
                found = self.evidence(shard)
                if len(found) >= wanted:
                    return found
                for miner in self.miners:
                    if miner.engine is not None:
                        miner.engine.advance()
                await asyncio.sleep(0.01)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let everybody go on until `condition` holds.

        Raises:
            TimeoutError: it never does.
        """
        async with asyncio.timeout(60):
            while not condition():
                for miner in self.miners:
                    if miner.engine is not None:
                        miner.engine.advance()
                await asyncio.sleep(0.01)

    def evidence(self, shard: int) -> list[ShardEvidence]:
        found: list[ShardEvidence] = []
        for miner in self.miners:
            if miner.engine is None:
                continue
            bodies = miner.engine.around.journal.evidence(JobKey((1, 0)), shard)
            found += map(decode_evidence, bodies)
        return found

    async def close(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for number in range(len(self.miners)):
            self.kill(number)


def log_key(name: str) -> LogKey:
    return LogKey(BlockNumber(7), 0, Digest(keccak(text=name)), Digest(keccak(text=name)))


def open_request(model: CompiledModel, row: int) -> QueryRequested:
    """A request with a test row in the open."""
    data = model.input_edge.encode(model.test_rows().inputs[row].reshape(model.input_edge.shape))
    return request_with(Privacy.OPEN, boundary_digest([model.input_edge], [data]), data)


def proved_request(model: CompiledModel, row: int) -> QueryRequested:
    """A request with a test row in the open, of which every shard is to be proved."""
    request = open_request(model, row)
    query = replace(request.query, assurance=Assurance.PROVED, replicas=1)
    return replace(request, query=query)


def sealed_request(model: CompiledModel, row: int, content_key: bytes) -> QueryRequested:
    """A request with a test row under a content key."""
    data = model.input_edge.encode(model.test_rows().inputs[row].reshape(model.input_edge.shape))
    digest = input_digest(content_key, boundary_digest([model.input_edge], [data]))
    return request_with(Privacy.SEALED, digest, seal_input(content_key, VERSION, data))


def request_with(privacy: Privacy, digest: Digest, sent: bytes) -> QueryRequested:
    """A request with any input, right or wrong."""
    query = Query(
        QueryId(1),
        address_of(REQUESTER),
        VERSION,
        digest,
        bytes(32),
        Assurance.AGREED,
        privacy,
        2,
        4,
        Amount(800),
        Amount(0),
        Amount(0),
        0,
        3,  # type: ignore[arg-type]
        0,
        RULES.pack(),
        Timestamp(1_000),
        Timestamp(4_000_000_000),
        0,
        SEED_BLOCK,
    )
    return QueryRequested(log_key("request"), query.query_id, query.requester, VERSION, query, sent)


def content_key_for(miner: MemoryMiner, content_key: bytes) -> Opened:
    """The content key as the client sends it to one drawn member."""
    context = WrapContext(
        DEPLOYMENT.chain_id, DEPLOYMENT.market, QueryId(1), 0, miner.identity.address
    )
    wrapped = wrap_content_key(content_key, public_key(miner.seat.encryption_key), context)
    message = ContentKey(DEPLOYMENT.chain_id, DEPLOYMENT.market, QueryId(1), 0, wrapped)
    return Opened(address_of(REQUESTER), message)


def fulfilled(paid: tuple[int, int] = (0b1111, 0b1111)) -> QueryFulfilled:
    """The chain's word that the query is answered."""
    shards = tuple(
        ShardOutcome(0, Digest(bytes(32)), Digest(bytes(32)), Digest(bytes(32)), mask)
        for mask in paid
    )
    outcome = Outcome(
        Digest(bytes(32)), Digest(bytes(32)), Digest(bytes(32)), DEPLOYMENT.market,
        Timestamp(1_010), shards,
    )  # fmt: skip
    key = replace(log_key("fulfilled"), block_number=BlockNumber(9))
    return QueryFulfilled(
        key, QueryId(1), address_of(REQUESTER), CallbackResult.SKIPPED, b"", outcome
    )
