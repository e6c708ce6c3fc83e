"""Attackers that want to be paid for an answer that they did not compute."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from eth_utils.crypto import keccak

from nesa.protocol.messages import Commit, Lock, MemberMessage, Propose, Reveal
from nesa_miner.agreement import Event, MessageReceived, Settled, Started, begin, step
from tests.miner.agreement.committees import (
    RIGHT,
    WRONG,
    Node,
    World,
    certified,
    commit_of,
    committee,
    digest_of,
    feed,
    honest,
    opened,
    reasons,
    result,
    sent,
    set_of,
    signed_lock,
    start,
    started,
    world,
)
from tests.miner.agreement.liars import signed_commit, silent_about, without

COPIER = 2


class WorldWithCopier(World):
    """The copier commits to garbage and begins anew with the first right answer that it sees."""

    copied_at: float | None = None

    def _happen(self, node: Node, event: Event) -> None:
        seen = isinstance(event, MessageReceived) and isinstance(event.message, Reveal)
        if node.me == COPIER and seen and self.copied_at is None:
            self.copied_at = self.now
            node.state, node.tamper, node.settled = begin(committee(COPIER)), None, None
            event = Started(result(RIGHT), keccak(b"copier"))
        super()._happen(node, event)


def copied(starts: Sequence[float], delay: float, seed: int) -> WorldWithCopier:
    """What becomes of a committee whose members start at these times, with delays up to `delay`."""
    source = random.Random(seed)
    made = WorldWithCopier(
        [honest(place) for place in range(4)], lambda *_: (source.uniform(0.001, delay),)
    )
    made.nodes[COPIER].tamper = silent_about(Reveal)
    for place in range(4):
        made.at(starts[place], place, start(place, WRONG if place == COPIER else RIGHT))
    made.run(60.0)
    return made


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("late", [0, 1, 3])
def test_a_copier_in_a_set_that_cannot_settle_is_not_in_the_next(late: int, seed: int) -> None:
    """It lets two honest members open to it, withholds its own garbage, and commits afresh."""
    starts = [0.0] * 4
    starts[late] = 0.9
    made = copied(starts, 0.1, seed)
    assert made.copied_at is not None
    for place in (0, 1, 3):
        evidence = made.nodes[place].settled
        assert evidence is not None
        assert COPIER not in [entry.position for entry in evidence.results]


@pytest.mark.parametrize("seed", range(10))
def test_a_copier_is_not_counted_however_the_others_are_timed(seed: int) -> None:
    """It hopes that some order of starts and delays opens the answer before its commitment."""
    source = random.Random(seed)
    made = copied([source.uniform(0.0, 1.5) for _ in range(4)], 0.25, seed)
    for node in made.nodes.values():
        if node.me != COPIER:
            assert node.settled is not None
            assert COPIER not in [entry.position for entry in node.settled.results]


def test_a_copied_commitment_cannot_be_opened() -> None:
    """It sends another member's commitment as its own and waits for that member's salt."""
    copy = signed_commit(commit_of(COPIER), commit_of(0).commitment)
    commits = (commit_of(0), commit_of(1), copy, commit_of(3))
    certificate = certified(replace(set_of(0, 1, 2, 3), commits=commits), (0, 1, 3))
    theirs = opened(0, certificate)
    stolen = replace(theirs, position=COPIER)
    state = feed(started(1), 0.1, (0, certificate))[0]
    _, actions = feed(state, 0.1, (COPIER, stolen))
    assert reasons(actions) == ["the reveal does not open the member's commitment in the set"]


def test_the_proposer_cannot_open_one_member_before_the_set_is_closed() -> None:
    """It shows one set to one member, learns the digest, and shows the others a later set."""
    early = set_of(0, 1, 2)
    state = feed(started(1), 0.1, *[(place, commit_of(place)) for place in (0, 2)])[0]
    state, actions = feed(state, 0.7, (0, early), (0, signed_lock(0, early)))
    assert sent(actions, Lock)
    assert not sent(actions, Reveal)
    copier_after = signed_lock(COPIER, set_of(0, 1, 2, 3))
    assert not sent(feed(state, 0.7, (COPIER, copier_after))[1], Reveal)


def test_two_sets_of_a_quorum_never_both_get_their_locks() -> None:
    """Proposer and copier lock both sets and need one honest member to do so too."""

    def both(receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
        if not isinstance(message, Propose):
            return () if isinstance(message, Lock) else (message,)
        shown = message if receiver == 1 else without(message, 1)
        return (shown, *(signed_lock(place, shown) for place in (0, COPIER)))

    made = world()
    made.nodes[0].tamper = both
    made.nodes[COPIER].tamper = silent_about(Lock)
    made.run(30.0)
    for node in (made.nodes[1], made.nodes[3]):
        locked = [m for m in node.sent if isinstance(m, Lock) and m.position == node.me]
        rounds = {(lock.round, lock.set_digest) for lock in locked}
        assert len(rounds) == len({round_ for round_, _ in rounds})
        certificates = {(c.round, c.commitments) for c in node.state.certificates}
        assert len(certificates) == len({round_ for round_, _ in certificates})


def test_a_commit_after_the_certificate_is_too_late() -> None:
    """It commits to the answer in the same round, once it has seen it."""
    certificate = certified(set_of(0, 1, 3), (0, 1, 3))
    state = feed(started(1), 0.1, (0, certificate), (0, opened(0, certificate)))[0]
    late = commit_of(COPIER)
    state, actions = feed(state, 0.2, (COPIER, late), (COPIER, signed_lock(0, set_of(0, 1, 2))))
    state, actions = feed(state, 0.2, (COPIER, opened(COPIER, certified(set_of(0, 1, 2)))))
    assert reasons(actions) == ["the reveal is for another set than the certified one"]
    _, actions = feed(state, 0.2, (3, opened(3, certificate)))
    (settled,) = [action for action in actions if isinstance(action, Settled)]
    assert [entry.position for entry in settled.evidence.results] == [0, 1, 3]


def test_a_wrong_answer_needs_more_than_the_tolerated_liars() -> None:
    """One liar opens to its own wrong answer and signs it for everybody."""
    made = World([honest(place) for place in range(4)])
    for place in range(4):
        made.at(0.0, place, start(place, WRONG if place == COPIER else RIGHT))
    made.run(10.0)
    right = digest_of((RIGHT,))
    assert {node.settled.out_digest for node in made.nodes.values() if node.settled} == {right}


def test_a_copier_that_commits_again_is_held_to_its_first_commitment() -> None:
    """It replaces its garbage with a copy in the same round."""
    state = feed(started(0), 0.1, (COPIER, commit_of(COPIER, output=WRONG)))[0]
    state, actions = feed(state, 0.2, (COPIER, commit_of(COPIER)))
    assert reasons(actions) == ["a commitment is never replaced"]
    held = state.commits[COPIER]
    assert isinstance(held, Commit)
    assert held == commit_of(COPIER, output=WRONG)


def test_the_program_of_a_copier_is_not_the_product() -> None:
    """The product offers no way to begin twice: a second start is ignored."""
    state = step(started(1), start(1, WRONG), 1.0)[0]
    assert state.result == started(1).result
