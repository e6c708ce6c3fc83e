"""Attackers that tell different members different things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nesa.protocol.commitments import Attestation, attestation_hash
from nesa.protocol.messages import Commit, Lock, Reveal
from nesa_miner.agreement import Dissent, Equivocated
from tests.miner.agreement.committees import (
    CONTEXT,
    RIGHT,
    WRONG,
    Tamper,
    certified,
    commit_of,
    digest_of,
    feed,
    opened,
    reasons,
    sent,
    set_of,
    signature,
    signed_lock,
    start,
    started,
    world,
)
from tests.miner.agreement.liars import (
    commit_to_one,
    leave_out,
    silent_about,
    tensors_by_receiver,
    two_commits,
    two_sets,
)

LIAR = 0


def settles(tamper: Tamper, until: float = 30.0) -> float:
    """When all honest members have settled beside one liar."""
    made = world()
    made.nodes[LIAR].tamper = tamper
    made.run(until)
    good = [node for place, node in made.nodes.items() if place != LIAR]
    assert all(node.settled and node.settled.out_digest == digest_of((RIGHT,)) for node in good)
    return max(node.settled_at for node in good)


@pytest.mark.parametrize(
    ("tamper", "latest"),
    [(two_sets, 1.3), (leave_out(3), 1.3), (two_commits, 0.1), (tensors_by_receiver, 0.1)],
    ids=["two sets", "leaves one out", "two commits", "two tensors"],
)
def test_a_lying_proposer_costs_one_round_at_most(tamper: Tamper, latest: float) -> None:
    """It wants the committee to split or to stop."""
    assert settles(tamper) <= latest


@pytest.mark.parametrize("liar", range(4))
def test_commits_to_a_few_do_not_stop_the_committee(liar: int) -> None:
    """It makes an honest member refuse the set of an honest proposer, again and again."""
    made = world()
    made.nodes[liar].tamper = commit_to_one
    made.run(60.0)
    assert all(node.settled for place, node in made.nodes.items() if place != liar)


def test_a_second_lock_in_a_round_does_not_count() -> None:
    """It locks two sets, so that each has a quorum."""
    one, other = set_of(0, 1, 2, 3), set_of(0, 1, 2)
    state = feed(started(1), 0.1, *[(place, commit_of(place)) for place in (0, 2, 3)])[0]
    locks = [(LIAR, signed_lock(LIAR, other)), (LIAR, signed_lock(LIAR, one))]
    state, actions = feed(state, 0.1, (LIAR, one), *locks)
    assert reasons(actions) == ["a second lock in one round"]
    assert state.locks[LIAR] == signed_lock(LIAR, other)


def test_a_lock_of_somebody_else_cannot_be_forged() -> None:
    """It signs locks in the names of others."""
    proposal = set_of(0, 1, 2, 3)
    forged = [replace(signed_lock(LIAR, proposal), position=place) for place in (2, 3)]
    state = feed(started(1), 0.1, *[(place, commit_of(place)) for place in (0, 2, 3)])[0]
    _, actions = feed(state, 0.1, (LIAR, proposal), *[(LIAR, lock) for lock in forged])
    assert sent(actions, Lock)
    assert not sent(actions, Reveal)


def test_a_commit_of_somebody_else_cannot_be_forged() -> None:
    """As proposer it puts garbage in an honest member's place, so that it cannot open."""
    forged = replace(commit_of(3), commitment=commit_of(3, output=WRONG).commitment)
    proposal = replace(set_of(0, 1, 2, 3), commits=(*set_of(0, 1, 2).commits, forged))
    state = feed(started(1), 0.1, *[(place, commit_of(place)) for place in (0, 2)])[0]
    _, actions = feed(state, 0.1, (LIAR, proposal))
    assert not sent(actions, Lock)
    assert isinstance(forged, Commit)


def test_two_results_of_one_input_are_a_fact_for_the_court() -> None:
    """It attests one result in one round and another in the next."""
    first, second = (
        certified(set_of(0, 1, 2, 3, round_=round_, wrong=wrong))
        for round_, wrong in ((0, [LIAR]), (1, []))
    )
    state = feed(started(1), 0.1, (2, first), (LIAR, opened(LIAR, first, WRONG)))[0]
    _, actions = feed(state, 0.2, (2, second), (LIAR, opened(LIAR, second)))
    (fact,) = [action for action in actions if isinstance(action, Equivocated)]
    assert fact.position == LIAR
    digests = {fact.first.out_digest, fact.second.out_digest}
    assert digests == {digest_of((RIGHT,)), digest_of((WRONG,))}
    assert fact.first.in_digest == fact.second.in_digest


def test_an_honest_member_that_crashed_never_contradicts_itself() -> None:
    """It kills an honest member at a bad moment and hopes for two locks or two results."""
    for point in range(12):
        made = world()
        made.nodes[LIAR].tamper = two_sets
        made.nodes[2].crash_in = point
        made.run(60.0)
        mine = [m for m in made.nodes[2].sent if isinstance(m, Lock) and m.position == 2]
        assert len({(m.round, m.set_digest) for m in mine}) == len({m.round for m in mine})
        assert made.nodes[2].settled


def test_a_tensor_that_does_not_match_is_dropped_and_the_right_one_still_counts() -> None:
    """It reveals the right digest and gives each receiver another tensor."""
    certificate = certified(set_of(0, 1, 2, 3))
    reveal = opened(LIAR, certificate)
    state = feed(started(1), 0.1, (2, certificate))[0]
    state, actions = feed(state, 0.1, (LIAR, replace(reveal, tensors=(WRONG,))))
    assert reasons(actions) == ["the tensors do not match the digest"]
    state, actions = feed(state, 0.1, (LIAR, reveal))
    assert not reasons(actions)


def test_an_attestation_of_another_result_than_the_opened_one_is_dropped() -> None:
    """It opens the right result and signs another, so that the chain refuses the report."""
    certificate = certified(set_of(0, 1, 2, 3))
    reveal = opened(LIAR, certificate)
    attested = replace(reveal.attestation, out_digest=digest_of((WRONG,)))
    assert isinstance(attested, Attestation)
    r, vs = signature(LIAR, attestation_hash(CONTEXT.chain_id, CONTEXT.market, attested))
    state = feed(started(1), 0.1, (2, certificate))[0]
    _, actions = feed(state, 0.1, (LIAR, replace(reveal, r=r, vs=vs)))
    assert "not signed" in reasons(actions)[0]


SILENCES: list[Callable[[], Tamper]] = [
    lambda: silent_about(Reveal, to=[1]),
    lambda: silent_about(Lock, to=[1, 2]),
    lambda: silent_about(Commit, to=[3]),
]


@pytest.mark.parametrize("silence", SILENCES, ids=["reveals", "locks", "commits"])
def test_silence_towards_some_does_not_split_the_committee(silence: Callable[[], Tamper]) -> None:
    """It lets some members settle and others not."""
    assert settles(silence()) < 3.0


def test_a_dissenter_is_named_and_the_rest_settles() -> None:
    """It attests a wrong answer and hopes that nobody keeps its signature."""
    made = world()
    made = type(made)(list(made.nodes.values()))
    for place in range(4):
        made.at(0.0, place, start(place, WRONG if place == LIAR else RIGHT))
    made.run(10.0)
    for place in (1, 2, 3):
        named = [a for a in made.nodes[place].actions if isinstance(a, Dissent)]
        assert {action.position for action in named} == {LIAR}
