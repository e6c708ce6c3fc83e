"""What clients, peers, nodes and the chain may do to a miner without ending it or its pay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
from eth_utils.crypto import keccak
from structlog.testing import capture_logs

from nesa.chain.committees import Seat
from nesa.privacy.envelopes import Opened
from nesa.privacy.sealing import input_digest, seal_input
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidMessage, Unavailable
from nesa.protocol.evidence import decode_evidence, encode_evidence
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId, Timestamp, VersionId
from nesa.protocol.messages import Commit, Handoff, Message
from nesa.protocol.queries import Assurance, Privacy
from nesa.protocol.versions import ShardFacts
from nesa_miner.engine import Engine
from nesa_miner.jobs import JobKey, Phase, WorkKey
from nesa_miner.surroundings import RETENTION_SECONDS, Runner
from tests.miner.committee_network import (
    VERSION,
    CommitteeNetwork,
    MemoryLibrary,
    MemoryMiner,
    content_key_for,
    fulfilled,
    open_request,
    request_with,
    sealed_request,
)

CONTENT_KEY = bytes(range(32))
KEY = JobKey((1, 0))
OTHER_SEED = Digest(keccak(text="another seed block"))


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()
    assert made.failures == []


def engine_of(miner: MemoryMiner) -> Engine:
    assert miner.engine is not None
    return miner.engine


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def job_seeds(network: CommitteeNetwork) -> set[bytes | None]:
    engines = [miner.engine for miner in network.miners if miner.engine is not None]
    jobs = [engine.around.journal.job(KEY) for engine in engines]
    return {job.seed for job in jobs if job is not None}


@dataclass(slots=True)
class WatchedLibrary(MemoryLibrary):
    """Tells `told` which call this is; the second one waits at the gate."""

    told: Callable[[int], None] = print
    gate: asyncio.Event | None = None
    calls: int = 0
    held: int = 0

    async def runner(self, version_id: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        self.calls += 1
        self.told(self.calls)
        if self.gate is not None and self.calls == 2:
            self.held += 1
            await self.gate.wait()
        return await MemoryLibrary.runner(self, version_id, shard)


def use_library(
    network: CommitteeNetwork, told: Callable[[int], None], gate: asyncio.Event | None = None
) -> WatchedLibrary:
    library = WatchedLibrary(network.model, told=told, gate=gate)
    network.kill(0)
    network.start(0, library=library)
    return library


# Clients


@pytest.mark.parametrize("plain", [b"", b"short", bytes(5000)])
async def test_a_sealed_input_of_any_length_is_refused(
    network: CommitteeNetwork, plain: bytes
) -> None:
    digest = input_digest(CONTENT_KEY, ZERO_DIGEST)
    sealed = seal_input(CONTENT_KEY, VERSION, plain)
    network.tell(request_with(Privacy.SEALED, digest, sealed))
    await until(lambda: all(engine_of(miner).duties[KEY].place for miner in network.miners[:4]))
    for miner in network.miners[:4]:
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))
    await until(lambda: not any(engine_of(miner).duties for miner in network.miners[:4]))


async def test_an_empty_open_input_is_refused(network: CommitteeNetwork) -> None:
    network.tell(request_with(Privacy.OPEN, ZERO_DIGEST, b""))
    await until(lambda: not engine_of(network.miners[0]).duties)


async def test_the_values_of_a_sealed_query_are_in_no_log(network: CommitteeNetwork) -> None:
    edge = network.model.input_edge
    assert edge.low > -128
    plain = bytes([0x80]) + bytes(edge.nbytes - 1)
    digest = input_digest(CONTENT_KEY, boundary_digest([edge], [plain]))
    with capture_logs() as logs:
        sealed = seal_input(CONTENT_KEY, VERSION, plain)
        network.tell(request_with(Privacy.SEALED, digest, sealed))
        for miner in network.miners[:4]:
            network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))
        await until(lambda: not engine_of(network.miners[0]).duties)
    refused = [line for line in logs if line["event"] == "refused"]
    assert refused
    assert all("128" not in str(line) for line in refused)


# Peers


async def test_a_number_that_no_query_has_is_refused(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(0, 4)
    commit = next(message for _, message in network.delivered if isinstance(message, Commit))
    assert isinstance(commit, Commit)
    context = replace(commit.context, query_id=QueryId(2**64 - 1))
    opened = Opened(network.miners[1].identity.address, replace(commit, context=context))
    with pytest.raises(InvalidMessage, match="no such query"):
        engine_of(network.miners[0]).receive(opened)


async def test_a_content_key_is_taken_only_where_it_is_stored(network: CommitteeNetwork) -> None:
    """Its client sends it until it is taken, and then never again."""
    miner = network.miners[0]
    with pytest.raises(Unavailable):
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))
    request = sealed_request(network.model, 7, CONTENT_KEY)
    network.tell(request, head=7)
    for member in network.miners:
        network.post(member.seat.signer, content_key_for(member, CONTENT_KEY))
    for number in range(8):
        network.kill(number)
        network.start(number)
    network.tell(head=8)
    await network.settle(1, 3)


async def test_a_member_of_the_next_shard_that_was_away_still_gets_its_input(
    network: CommitteeNetwork,
) -> None:
    network.kill(4)
    request = open_request(network.model, 1)
    network.tell(request)
    await network.settle(1, 3)
    network.start(4)
    network.tell_one(network.miners[4], request)
    await network.settle(1, 4)


async def test_a_message_that_cannot_be_delivered_ends_nothing(network: CommitteeNetwork) -> None:
    async def refuse(seat: Seat, message: Message) -> bool:
        raise ValueError("nobody thought of this")

    for number in range(8):
        network.kill(number)
        network.start(number, deliver=refuse)
    network.tell(open_request(network.model, 1))
    with pytest.raises(TimeoutError):
        await network.settle(0, 1, seconds=0.5)
    assert engine_of(network.miners[0]).duties


async def test_a_spare_prover_hands_nothing_over_before_its_turn(
    network: CommitteeNetwork,
) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(0, 4)
    handoff = await first_handoff(network)
    receiver = engine_of(network.miners[4])
    duty = receiver.duties[KEY]
    assert duty.place is not None
    query = replace(duty.query, assurance=Assurance.PROVED, replicas=1)
    committees = replace(duty.place.committees, query=query)
    place = replace(duty.place, committees=committees)
    receiver.duties[KEY] = replace(duty, query=query, place=place, computations=())
    spare = Opened(network.miners[1].identity.address, handoff)
    with pytest.raises(ConnectionError, match="turn"):
        receiver.receive(spare)
    receiver.roster.chain_time = Timestamp(query.opened_at + query.rules.prover_turn)
    with pytest.raises(InvalidMessage):
        receiver.receive(spare)


async def first_handoff(network: CommitteeNetwork) -> Handoff:
    def found() -> list[Message]:
        return [message for _, message in network.delivered if isinstance(message, Handoff)]

    await until(lambda: bool(found()))
    (handoff, *_) = found()
    assert isinstance(handoff, Handoff)
    return handoff


# Machines


async def test_a_mistake_in_one_duty_is_tried_again(network: CommitteeNetwork) -> None:
    def fail(call: int) -> None:
        if call == 1:
            raise RuntimeError("a library failed")

    use_library(network, fail)
    network.tell(open_request(network.model, 1))
    await network.settle(0, 4)


async def test_a_duty_that_ends_before_its_first_step_ends_nothing(
    network: CommitteeNetwork,
) -> None:
    network.tell(open_request(network.model, 1))
    network.tell(fulfilled(), head=9)
    async with asyncio.timeout(60):
        while engine_of(network.miners[0]).duties:
            await asyncio.sleep(0.01)


async def test_a_proof_survives_a_restart(network: CommitteeNetwork) -> None:
    request = open_request(network.model, 1)
    network.tell(request)
    await network.settle(0, 4)
    journal = engine_of(network.miners[0]).around.journal
    (body,) = journal.evidence(KEY, 0)
    proved = replace(decode_evidence(body), proof=b"proof")
    work = WorkKey(KEY, network.seed, request.query.input_digest)
    journal.keep_evidence(work, 0, encode_evidence(proved))
    network.kill(0)
    network.start(0)
    network.tell_one(network.miners[0])
    await until(lambda: engine_of(network.miners[0]).duties[KEY].is_settled)
    (stored,) = engine_of(network.miners[0]).around.journal.evidence(KEY, 0)
    assert decode_evidence(stored).proof == b"proof"


# Reorganisations


async def test_a_replaced_seed_block_that_was_read_past_is_noticed(
    network: CommitteeNetwork,
) -> None:
    """Only the last block of what is read at once is remembered; the seed block need not be it."""
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    network.seed = OTHER_SEED
    network.tell(head=10)
    await until(lambda: job_seeds(network) == {OTHER_SEED})
    await network.settle(1, 4)


async def test_a_replaced_seed_block_under_a_running_computation(
    network: CommitteeNetwork,
) -> None:
    calls: list[int] = []
    gate = asyncio.Event()
    library = use_library(network, calls.append, gate)
    network.tell(open_request(network.model, 1))
    await until(lambda: calls == [1, 2])
    network.seed = OTHER_SEED
    network.tell(head=10)
    await until(lambda: job_seeds(network) == {OTHER_SEED})
    gate.set()
    assert library.held == 1
    await network.settle(1, 4)
    assert len(network.evidence(0)) == 4


async def test_who_was_not_drawn_by_the_old_seed_works_for_the_new(
    network: CommitteeNetwork,
) -> None:
    network.lineups[network.seed] = ((0, 1, 2, 3), (4, 5, 6))
    network.tell(open_request(network.model, 1))
    await until(lambda: not engine_of(network.miners[7]).duties)
    network.seed = OTHER_SEED
    network.tell(head=10)
    await network.settle(1, 4)


async def test_a_seed_block_replaced_while_away_counts_nothing_signed_before(
    network: CommitteeNetwork,
) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    for number in range(8):
        network.kill(number)
    network.seed = OTHER_SEED
    for number in range(8):
        network.start(number)
    network.tell(head=10)
    await until(lambda: job_seeds(network) == {OTHER_SEED})
    await network.settle(1, 4)


async def test_a_hand_over_waits_for_a_member_that_lags_behind_a_reorganisation(
    network: CommitteeNetwork,
) -> None:
    for number in (2, 3):
        network.kill(number)
    request = open_request(network.model, 5)
    network.tell(request)
    await until(lambda: job_seeds(network) == {network.seed})
    old, network.seed = network.seed, OTHER_SEED
    for number in (2, 3):
        network.start(number)
        network.tell_one(network.miners[number], request, head=9)
    for number in (0, 1):
        network.tell_one(network.miners[number], head=9)
    await network.settle(0, 4)
    await first_handoff(network)
    late = network.miners[4]
    assert engine_of(late).duties[KEY].computations == ()
    assert engine_of(late).around.journal.job(KEY).seed == old  # type: ignore[union-attr]
    for miner in network.miners[4:]:
        network.tell_one(miner, head=9)
    await network.settle(1, 4)


async def test_nobody_is_refused_while_the_draw_is_in_doubt(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    handoff, receiver = await first_handoff(network), engine_of(network.miners[4])
    opened = Opened(network.miners[5].identity.address, handoff)
    with pytest.raises(InvalidMessage, match="before this one"):
        receiver.receive(opened)
    receiver.duties[KEY] = replace(receiver.duties[KEY], doubts=1)
    with pytest.raises(Unavailable):
        receiver.receive(opened)


async def test_who_may_still_be_drawn_does_not_take_a_content_key_in_vain(
    network: CommitteeNetwork,
) -> None:
    network.lineups[network.seed] = ((0, 1, 2, 3), (4, 5, 6))
    network.tell(sealed_request(network.model, 7, CONTENT_KEY))
    await until(lambda: not engine_of(network.miners[7]).duties)
    key = content_key_for(network.miners[7], CONTENT_KEY)
    with pytest.raises(Unavailable):
        engine_of(network.miners[7]).receive(key)
    network.seed = OTHER_SEED
    network.tell(head=10)
    engine_of(network.miners[7]).receive(key)
    await until(lambda: engine_of(network.miners[7]).duties[KEY].place is not None)
    assert engine_of(network.miners[7]).duties[KEY].content_key == CONTENT_KEY
    network.tell(fulfilled(), head=11)
    engine_of(network.miners[7]).receive(key)


async def test_a_seed_that_comes_back_is_not_signed_for_twice(network: CommitteeNetwork) -> None:
    """Two members are away, so that nothing settles before the first seed is back."""
    first, me = network.seed, network.miners[0].seat.signer
    network.lineups = {
        first: ((0, 1, 2, 3), (4, 5, 6, 7)),
        OTHER_SEED: ((4, 5, 6, 7), (0, 1, 2, 3)),
    }
    for number in (2, 3):
        network.kill(number)
    network.tell(open_request(network.model, 5))
    await until(lambda: commitments_of(network, me, first) != {})
    before = commitments_of(network, me, first)
    for head, seed in ((9, OTHER_SEED), (10, first)):
        network.delivered.clear()
        network.seed = seed
        network.tell(head=head)
        await until(lambda seed=seed: job_seeds(network) == {seed})  # type: ignore[misc]
    await until(lambda: commitments_of(network, me, first) != {})
    assert commitments_of(network, me, first) == before


def commitments_of(
    network: CommitteeNetwork, signer: Address, seed: Digest
) -> dict[int, set[Digest]]:
    """What a member committed to in each round under a seed."""
    found: dict[int, set[Digest]] = {}
    for sender, message in network.delivered:
        if isinstance(message, Commit) and sender == signer and message.context.seed == seed:
            found.setdefault(message.round, set()).add(message.commitment)
    return found


async def test_an_undone_answer_is_worked_for_again(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    network.tell(fulfilled(), head=9)
    assert not engine_of(network.miners[0]).duties
    network.seed = OTHER_SEED
    network.tell(head=10, undone=[fulfilled()])
    await until(lambda: job_seeds(network) == {OTHER_SEED})
    await network.settle(1, 4)


# Time


async def test_an_answered_query_is_forgotten_after_a_while(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    network.tell(fulfilled(), head=9, time_=1_010)
    journal = engine_of(network.miners[0]).around.journal
    network.tell(head=10, time_=1_000 + RETENTION_SECONDS)
    assert journal.evidence(KEY, 0)
    network.tell(head=11, time_=1_100 + RETENTION_SECONDS)
    assert not journal.evidence(KEY, 0)
    assert journal.job(KEY) is None


async def test_what_shows_the_work_outlives_the_dispute_window(network: CommitteeNetwork) -> None:
    for number in range(8):
        network.kill(number)
        network.start(number, retention=0)
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    network.tell(fulfilled(), head=9, time_=1_010)
    journal = engine_of(network.miners[0]).around.journal
    network.tell(head=10, time_=1_010 + 120)
    assert journal.evidence(KEY, 0)
    network.tell(head=11, time_=1_010 + 120 + 100)
    assert not journal.evidence(KEY, 0)


async def test_an_expired_attempt_keeps_the_input_for_the_next(network: CommitteeNetwork) -> None:
    request = open_request(network.model, 1)
    query = replace(request.query, answer_deadline=Timestamp(1_060))
    network.tell(replace(request, query=query))
    await network.settle(0, 4)
    network.tell(head=9, time_=1_061)
    network.tell(head=10, time_=1_200 + RETENTION_SECONDS)
    journal = engine_of(network.miners[0]).around.journal
    job = journal.job(KEY)
    assert job is not None
    assert (job.phase, job.input) == (Phase.ENDED, request.input)
    assert not journal.evidence(KEY, 0)
