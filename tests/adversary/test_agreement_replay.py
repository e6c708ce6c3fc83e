"""Attackers that use what was said elsewhere or earlier."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import verify_evidence
from nesa.protocol.ids import Address, Digest, QueryId
from nesa.protocol.locks import verify_certificate, verify_lock
from nesa.protocol.messages import Lock, MemberMessage, Reveal
from nesa_miner.agreement import Settled
from tests.miner.agreement.committees import (
    CONTEXT,
    address,
    certified,
    commit_of,
    feed,
    opened,
    reasons,
    sent,
    set_of,
    signed_lock,
    started,
    world,
)

MEMBERS = [address(position) for position in range(4)]
ELSEWHERE = [
    replace(CONTEXT, chain_id=1),
    replace(CONTEXT, market=Address("0x" + "99" * 20)),
    replace(CONTEXT, query_id=QueryId(8)),
    replace(CONTEXT, attempt=1),
    replace(CONTEXT, seed=Digest(b"\x99" * 32)),
    replace(CONTEXT, shard=1),
]
NAMES = ["chain", "market", "query", "attempt", "seed", "shard"]
SET = set_of(0, 1, 2, 3)
CERTIFICATE = certified(SET)


@pytest.mark.parametrize("context", ELSEWHERE, ids=NAMES)
def test_messages_of_other_work_are_dropped(context: ShardContext) -> None:
    """It replays a message of another chain, market, query, attempt, seed or shard as it is."""
    for message in (commit_of(0), SET, signed_lock(0, SET), CERTIFICATE, opened(0, CERTIFICATE)):
        _, actions = feed(started(1), 0.1, (0, replace(message, context=context)))
        assert reasons(actions) == ["the message is about other work"]


@pytest.mark.parametrize("context", ELSEWHERE, ids=NAMES)
def test_a_lock_holds_for_its_own_work_only(context: ShardContext) -> None:
    """It moves a lock that was signed for other work into this one."""
    lock = signed_lock(0, SET)
    verify_lock(MEMBERS, lock)
    with pytest.raises(InvalidMessage):
        verify_lock(MEMBERS, replace(lock, context=context))


@pytest.mark.parametrize("context", ELSEWHERE, ids=NAMES)
def test_evidence_holds_for_its_own_work_only(context: ShardContext) -> None:
    """It shows the evidence of one query for another, after a reorganisation or a redraw."""
    evidence = agreed_evidence()
    verify_evidence(CONTEXT, MEMBERS, 4, evidence)
    with pytest.raises(InvalidMessage):
        verify_evidence(context, MEMBERS, 4, evidence)


def agreed_evidence():
    made = world()
    made.run(5.0)
    evidence = made.nodes[0].settled
    assert evidence is not None
    return evidence


def test_evidence_of_fewer_than_a_quorum_is_refused() -> None:
    """It leaves members out until those that remain are its own."""
    evidence = agreed_evidence()
    with pytest.raises(InvalidMessage, match="fewer than a quorum"):
        verify_evidence(CONTEXT, MEMBERS, 4, replace(evidence, results=evidence.results[:2]))


def test_evidence_does_not_count_a_member_twice() -> None:
    """It repeats one result until there is a quorum."""
    evidence = agreed_evidence()
    repeated = (*evidence.results[:2], evidence.results[1])
    with pytest.raises(InvalidMessage, match="ascending"):
        verify_evidence(CONTEXT, MEMBERS, 4, replace(evidence, results=repeated))


@pytest.mark.parametrize(
    "change",
    [
        {"out_digest": Digest(bytes(32))},
        {"in_digest": Digest(bytes(32))},
        {"round": 1},
        {"payload": b"another answer"},
        {"commitments": tuple(Digest(bytes([n]) * 32) for n in range(4))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_changed_evidence_is_refused(change: dict) -> None:
    """It serves evidence to the oracle with one field changed."""
    with pytest.raises(InvalidMessage):
        verify_evidence(CONTEXT, MEMBERS, 4, replace(agreed_evidence(), **change))


def test_evidence_of_another_committee_is_refused() -> None:
    """It shows the work of members that were not drawn."""
    with pytest.raises(InvalidMessage):
        verify_evidence(CONTEXT, [*MEMBERS[1:], MEMBERS[0]], 4, agreed_evidence())
    with pytest.raises(InvalidMessage, match="does not have 5 entries"):
        verify_evidence(CONTEXT, MEMBERS, 5, agreed_evidence())


def test_a_certificate_of_another_round_is_no_certificate() -> None:
    """It moves the locks of one round to the set of the next."""
    later = set_of(0, 1, 2, 3, round_=1)
    moved = replace(CERTIFICATE, round=1, commitments=later.commitments(4))
    with pytest.raises(InvalidMessage, match="another set"):
        verify_certificate(MEMBERS, moved)


def test_a_reveal_of_an_earlier_round_does_not_count_in_a_later_one() -> None:
    """It opens the set of one round with the salt of another."""
    later = certified(set_of(0, 1, 2, 3, round_=1))
    state = feed(started(1), 0.1, (2, CERTIFICATE), (2, later))[0]
    moved = replace(opened(0, CERTIFICATE), round=1, set_digest=opened(0, later).set_digest)
    _, actions = feed(state, 0.1, (0, moved))
    assert "does not open" in reasons(actions)[0]


def test_old_messages_again_change_nothing() -> None:
    """It sends everything twice, to be counted twice or to wear a member out."""
    state = feed(started(1), 0.1, *[(place, commit_of(place)) for place in (0, 2, 3)])[0]
    messages: list[tuple[int, MemberMessage]] = [
        (0, commit_of(0)),
        (0, SET),
        (0, signed_lock(0, SET)),
        (0, CERTIFICATE),
        (0, opened(0, CERTIFICATE)),
    ]
    state, _ = feed(state, 0.1, *messages)
    after, actions = feed(state, 0.1, *messages)
    assert (after, actions) == (state, [])
    assert not [action for action in actions if isinstance(action, Settled)]
    assert not sent(actions, Lock)
    assert not sent(actions, Reveal)
