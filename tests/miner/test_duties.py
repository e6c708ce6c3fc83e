"""Which of the inputs that are handed over a member works on, and in which order."""

from __future__ import annotations

from dataclasses import replace

from eth_utils.crypto import keccak

from nesa.chain.committees import DrawnCommittees
from nesa.models.folder import load
from nesa.protocol.commitments import ShardContext
from nesa.protocol.evidence import MAX_PIECES, ShardEvidence
from nesa.protocol.ids import BlockNumber, Digest, Timestamp
from nesa.protocol.messages import Handoff
from nesa.protocol.queries import Assurance, Query
from nesa_miner.agreement.machine import begin
from nesa_miner.agreement.terms import Committee
from nesa_miner.duties import Action, Compute, Duty, Place, Prove, next_action
from nesa_miner.jobs import JobKey
from tests.miner.committee_network import DEPLOYMENT, MODEL, proved_request

QUERY = proved_request(load(MODEL), 0).query
SEED = Digest(keccak(text="seed block"))
NOW = QUERY.opened_at


def digest(name: str) -> Digest:
    return Digest(keccak(text=name))


def context(shard: int) -> ShardContext:
    head = (DEPLOYMENT.chain_id, DEPLOYMENT.market, QUERY.query_id, QUERY.attempt)
    return ShardContext(*head, SEED, shard)


def duty_of(query: Query = QUERY, shard: int = 2, turns: int = 4) -> Duty:
    """A member of a shard behind others, in a query with so many provers' turns."""
    query = replace(query, parameters=replace(query.rules, prover_turns=turns).pack())
    committees = DrawnCommittees(query, SEED, ((), (), (), ()), ())
    facts = load(MODEL).shards[1]
    place = Place(committees, context(shard), 0, facts)
    return Duty(JobKey((1, 0)), query, b"").drawn_at(place)


def handoff(worked_on: str, made: str) -> Handoff:
    return Handoff(context(1), 0, digest(worked_on), digest(made), (), (), (made.encode(),))


def given(duty: Duty, *handed: tuple[int, str, str]) -> Duty:
    for position, worked_on, made in handed:
        message = handoff(worked_on, made)
        if duty.wants(position, message):
            duty = duty.taking(position, message)
    return duty


def inputs(duty: Duty) -> list[bytes]:
    return [b"".join(one.tensors_in or ()) for one in duty.computations]


def begun(duty: Duty) -> Duty:
    """All inputs computed and agreed on, none proved."""
    agreement = begin(Committee(context(2), (), 0, lambda _: (b"", b""), lambda _: SEED))
    for one in duty.computations:
        evidence = ShardEvidence(0, one.in_digest, SEED, (), ())
        done = replace(one, agreement=agreement, evidence=evidence, handed_over=True)
        duty = duty.having(done)
    return duty


def started(duty: Duty, now: Timestamp = NOW) -> list[Action]:
    """Everything that is started at once."""
    found = []
    while (action := next_action(duty, BlockNumber(99), now)) is not None:
        found.append(action)
        duty = replace(duty, busy=duty.busy | {action})
    return found


def test_the_first_shard_has_its_input_from_the_request() -> None:
    (only,) = duty_of(shard=0).computations
    assert (only.in_digest, only.tensors_in) == (QUERY.input_digest, None)


def test_an_agreed_input_is_the_only_one() -> None:
    agreed = duty_of(replace(QUERY, assurance=Assurance.AGREED, replicas=4))
    assert inputs(given(agreed, (0, "x", "one"), (1, "x", "two"))) == [b"one"]


def test_every_other_input_of_a_prover_is_work_of_its_own() -> None:
    duty = given(duty_of(), (0, "x", "wrong"), (1, "x", "right"), (2, "x", "right"))
    assert inputs(duty) == [b"wrong", b"right"]
    assert [one.number for one in duty.computations] == [0, 1]


def test_a_prover_hands_over_once_for_each_input_of_its_own() -> None:
    duty = given(duty_of(), (0, "x", "one"), (0, "x", "two"), (0, "y", "three"))
    assert inputs(duty) == [b"one", b"three"]


def test_nobody_hands_over_more_often_than_provers_have_turns() -> None:
    flood = [(0, f"x{number}", f"made {number}") for number in range(9)]
    assert len(given(duty_of(turns=3), *flood).computations) == 3


def test_evidence_of_all_inputs_fits_in_one_body() -> None:
    flood = [
        (position, f"x{number}", f"made {position} {number}")
        for position in range(8)
        for number in range(8)
    ]
    assert len(given(duty_of(turns=8), *flood).computations) == MAX_PIECES


def test_all_inputs_are_computed_at_once() -> None:
    duty = given(duty_of(), (0, "x", "wrong"), (1, "x", "right"))
    assert started(duty) == [Compute(digest("wrong")), Compute(digest("right"))]


def test_one_proof_is_made_at_a_time() -> None:
    duty = begun(given(duty_of(), (0, "x", "wrong"), (1, "x", "right")))
    assert started(duty) == [Prove(digest("wrong"))]


def test_who_hands_over_much_keeps_nobody_waiting() -> None:
    duty = given(duty_of(), (0, "x", "one"), (0, "y", "two"), (1, "x", "right"))
    proved = begun(duty).computation(digest("one"))
    assert proved.evidence is not None
    proved = replace(proved, evidence=replace(proved.evidence, proof=b"proof"))
    assert started(begun(duty).having(proved)) == [Prove(digest("right"))]


def test_an_input_that_was_refused_is_left_alone() -> None:
    duty = given(duty_of(), (0, "x", "wrong"), (1, "x", "right"))
    refused = replace(duty.computation(digest("wrong")), is_refused=True)
    assert started(duty.having(refused)) == [Compute(digest("right"))]
