"""A member that the report left out claims its slot, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import pytest_asyncio
from eth_utils.crypto import keccak
from structlog.testing import capture_logs

from nesa.chain.events import QueryFulfilled, QueryReleased, SlotClaimed
from nesa.protocol.commitments import set_digest
from nesa.protocol.errors import ExhaustedResource
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Amount, Digest, Timestamp
from nesa.protocol.queries import Query, terms_hash
from nesa_miner.claims import Claim, decode_claim, encode_claim
from nesa_miner.engine import Engine
from nesa_miner.jobs import JobKey
from tests.miner.committee_network import (
    DEPLOYMENT,
    CommitteeNetwork,
    MemoryMiner,
    fulfilled,
    log_key,
    open_request,
)

LEFT_OUT = 1
KEY = JobKey((1, 0))
EVERYBODY = 0b1111
ALL_BUT_ONE = 0b1101


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


@dataclass(slots=True)
class Answered:
    """A query that all members settled, and the chain's word that pays some of them."""

    network: CommitteeNetwork
    query: Query
    shards: list[ShardEvidence] = field(default_factory=list)

    @classmethod
    async def by(cls, network: CommitteeNetwork) -> Answered:
        request = open_request(network.model, 1)
        network.tell(request)
        await network.settle(1, 4)
        await until(lambda: all(len(network.evidence(shard)) == 4 for shard in range(2)))
        made = cls(network, request.query)
        for shard in range(2):
            made.shards.append(max(network.evidence(shard), key=lambda one: len(one.results)))
        return made

    def event(self, paid: tuple[int, int] = (ALL_BUT_ONE, EVERYBODY)) -> QueryFulfilled:
        event = fulfilled(paid)
        shards = tuple(
            replace(
                outcome,
                round=evidence.round,
                out_digest=evidence.out_digest,
                set_digest=set_digest(
                    engine_context(self.network, index), evidence.round, evidence.commitments
                ),
            )
            for index, (outcome, evidence) in enumerate(
                zip(event.outcome.shards, self.shards, strict=True)
            )
        )
        outcome = replace(
            event.outcome,
            terms_hash=terms_hash(DEPLOYMENT.chain_id, DEPLOYMENT.market, self.query),
            seed=self.network.seed,
            output_hash=Digest(keccak(self.shards[-1].payload)),
            shards=shards,
        )
        return replace(event, outcome=outcome)


def engine_context(network: CommitteeNetwork, shard: int):
    place = engine_of(network.miners[4 * shard]).duties[KEY].place
    assert place is not None
    return place.context


def claimed(shard: int, paid: int, name: str = "claimed") -> SlotClaimed:
    return SlotClaimed(
        log_key(name), fulfilled().query_id, DEPLOYMENT.market, shard, Amount(1), paid
    )


def open_claims(network: CommitteeNetwork) -> Mapping[JobKey, Claim]:
    return engine_of(network.miners[LEFT_OUT]).claims.open


async def test_who_was_left_out_claims_its_slot(network: CommitteeNetwork) -> None:
    answered = await Answered.by(network)
    event = answered.event()
    network.tell(event, head=9, time_=1_011)
    await until(lambda: bool(network.claimed))
    ((signer, claim),) = network.claimed
    assert signer == network.miners[LEFT_OUT].seat.signer
    assert claim.outcome == event.outcome
    assert (claim.shard, claim.result.position) == (0, LEFT_OUT)
    assert claim.commitments == answered.shards[0].commitments
    own = [one for one in answered.shards[0].results if one.position == LEFT_OUT]
    assert own in ([claim.result], [])


async def test_a_claim_in_the_journal_comes_back_as_it_was(network: CommitteeNetwork) -> None:
    answered = await Answered.by(network)
    network.tell(answered.event(), head=9, time_=1_011)
    (claim,) = open_claims(network).values()
    again = decode_claim(encode_claim(claim))
    assert encode_claim(again) == encode_claim(claim)
    assert (again.query, again.commitments, again.result) == (
        claim.query,
        claim.commitments,
        claim.result,
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda outcome: replace(outcome, terms_hash=Digest(bytes(32))),
        lambda outcome: replace(outcome, seed=Digest(bytes(32))),
        lambda outcome: replace(
            outcome,
            shards=(replace(outcome.shards[0], set_digest=Digest(bytes(32))), outcome.shards[1]),
        ),
        lambda outcome: replace(
            outcome,
            shards=(replace(outcome.shards[0], out_digest=Digest(bytes(32))), outcome.shards[1]),
        ),
        lambda outcome: replace(
            outcome, shards=(replace(outcome.shards[0], round=7), outcome.shards[1])
        ),
    ],
    ids=["another attempt", "another seed", "another set", "another result", "another round"],
)
async def test_nothing_is_claimed_for_other_work(network: CommitteeNetwork, change) -> None:
    answered = await Answered.by(network)
    event = answered.event()
    network.tell(replace(event, outcome=change(event.outcome)), head=9, time_=1_011)
    assert not open_claims(network)


async def test_a_claim_survives_a_restart_and_an_answer_that_came_meanwhile(
    network: CommitteeNetwork,
) -> None:
    answered = await Answered.by(network)
    event = answered.event()
    network.kill(LEFT_OUT)
    network.start(LEFT_OUT)
    network.tell_one(network.miners[LEFT_OUT], event, head=9, time_=1_011)
    await until(lambda: bool(network.claimed))
    network.kill(LEFT_OUT)
    network.claimed.clear()
    network.start(LEFT_OUT)
    network.tell_one(network.miners[LEFT_OUT], head=9, time_=1_011)
    await until(lambda: bool(network.claimed))


async def test_a_claim_names_the_outcome_after_the_claims_of_others(
    network: CommitteeNetwork,
) -> None:
    answered = await Answered.by(network)
    event = answered.event((0b1001, EVERYBODY))
    network.tell(event, claimed(0, 0b1011 ^ 0b0110), head=9, time_=1_011)
    (claim,) = open_claims(network).values()
    assert claim.outcome.shards[0].paid == 0b1101
    assert not claim.is_paid


async def test_a_paid_claim_is_tried_no_more_unless_that_is_undone(
    network: CommitteeNetwork,
) -> None:
    answered = await Answered.by(network)
    network.tell(answered.event(), claimed(0, EVERYBODY), head=9, time_=1_011)
    await asyncio.sleep(0.05)
    assert network.claimed == []
    network.tell(head=10, time_=1_012, undone=[claimed(0, EVERYBODY)])
    await until(lambda: bool(network.claimed))


async def test_an_undone_answer_leaves_nothing_to_claim(network: CommitteeNetwork) -> None:
    answered = await Answered.by(network)
    event = answered.event()
    network.tell(event, head=9, time_=1_011)
    assert open_claims(network)
    network.tell(head=10, time_=1_012, undone=[event])
    assert not open_claims(network)


async def test_without_coin_the_claim_waits_and_says_so(network: CommitteeNetwork) -> None:
    async def poor(_: Claim) -> None:
        raise ExhaustedResource("the signer has no coin to pay gas with")

    answered = await Answered.by(network)
    engine_of(network.miners[LEFT_OUT]).claims.send = poor
    with capture_logs() as logs:
        network.tell(answered.event(), head=9, time_=1_011)
        await until(lambda: any(line["event"] == "slot not claimed" for line in logs))
    (line,) = (line for line in logs if line["event"] == "slot not claimed")
    assert "no coin" in line["reason"]
    assert open_claims(network)


async def test_after_the_windows_the_claim_is_dropped(network: CommitteeNetwork) -> None:
    answered = await Answered.by(network)
    network.tell(answered.event(), head=9, time_=1_011)
    until_ = next(iter(open_claims(network).values())).until
    assert until_ == Timestamp(1_010 + 120)
    network.tell(head=10, time_=until_ + 1)
    assert not open_claims(network)
    assert engine_of(network.miners[LEFT_OUT]).around.journal.claims() == []


async def test_a_dispute_stops_the_clock_of_a_claim(network: CommitteeNetwork) -> None:
    answered = await Answered.by(network)
    claims, held = engine_of(network.miners[LEFT_OUT]).claims, {1}
    claims.is_held = held.__contains__
    network.tell(answered.event(), head=9, time_=1_011)
    (claim,) = open_claims(network).values()
    network.tell(head=10, time_=claim.until + 50)
    assert open_claims(network)
    assert network.claimed == []
    held.clear()
    closes_at = Timestamp(claim.until + 60)
    released = QueryReleased(log_key("released"), fulfilled().query_id, 1, closes_at)
    network.tell(released, head=11, time_=claim.until + 55)
    await until(lambda: bool(network.claimed))
    network.tell(head=12, time_=closes_at + 1)
    assert not open_claims(network)


async def test_an_undone_release_leaves_the_windows_as_they_were(
    network: CommitteeNetwork,
) -> None:
    answered = await Answered.by(network)
    network.tell(answered.event(), head=9, time_=1_011)
    closes_at = Timestamp(5_000)
    released = QueryReleased(log_key("released"), fulfilled().query_id, 1, closes_at)
    network.tell(released, head=10, time_=1_012)
    (claim,) = open_claims(network).values()
    assert claim.until == closes_at
    network.tell(head=11, time_=1_013, undone=[released])
    (claim,) = open_claims(network).values()
    assert claim.until == Timestamp(1_010 + 120)
