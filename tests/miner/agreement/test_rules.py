"""The rules of agreement, one by one, as the member at position 1 of four applies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nesa.protocol.commitments import commitment, set_digest
from nesa.protocol.evidence import verify_evidence
from nesa.protocol.ids import Digest
from nesa.protocol.messages import (
    Certificate,
    Commit,
    Inquiry,
    Lock,
    MemberMessage,
    Propose,
    Reveal,
)
from nesa.protocol.statements import Statement
from nesa_miner.agreement import (
    Action,
    Dissent,
    Extended,
    Finished,
    Journal,
    MessageReceived,
    Opposed,
    Restarted,
    Send,
    Settled,
    State,
    Tick,
    begin,
    decode_record,
    encode_record,
    next_wake,
    restore,
    step,
)
from nesa_miner.agreement.records import Agreed, Certified, Computed, Joined, Locked
from nesa_miner.agreement.signing import salt
from tests.miner.agreement.committees import (
    CONTEXT,
    IN_DIGEST,
    RIGHT,
    WRONG,
    address,
    certified,
    commit_of,
    committee,
    digest_of,
    entropy,
    feed,
    opened,
    reasons,
    sent,
    set_of,
    signed_lock,
    start,
    started,
)

ME = 1
MEMBERS = [address(position) for position in range(4)]
EVERYBODY = set_of(0, 1, 2, 3)
CERTIFICATE = certified(EVERYBODY)


def heard(*positions: int, round_: int = 0) -> list[tuple[int, Commit]]:
    return [(place, commit_of(place, round_)) for place in positions]


def with_all_commits(round_: int = 0) -> State:
    return feed(started(ME), 0.1, *heard(0, 2, 3, round_=round_))[0]


def settled_state() -> tuple[State, list[Action]]:
    reveals = [(place, opened(place, CERTIFICATE)) for place in (0, 2)]
    return feed(with_all_commits(), 0.2, (0, CERTIFICATE), *reveals)


def order(actions: list[Action], kind: type, message: type) -> bool:
    """Whether the record of `kind` is journalled before `message` leaves."""
    journal = next(
        i for i, a in enumerate(actions) if isinstance(a, Journal) and isinstance(a.record, kind)
    )
    send = next(
        i for i, a in enumerate(actions) if isinstance(a, Send) and isinstance(a.message, message)
    )
    return journal < send


# Committing


def test_a_member_commits_to_all_others_when_it_has_a_result() -> None:
    state, actions = step(begin(committee(ME)), start(ME), 0.0)
    assert order(list(actions), Computed, Commit)
    assert order(list(actions), Joined, Commit)
    (commit,) = sent(actions, Commit)
    hidden = salt(state.committee, entropy(ME), 0)
    digest = digest_of((RIGHT,))
    assert commit.commitment == commitment(CONTEXT, 0, address(ME), IN_DIGEST, digest, hidden)
    assert [a.positions for a in actions if isinstance(a, Send)] == [(0, 2, 3)]


def test_every_round_has_a_fresh_salt() -> None:
    salts = {salt(committee(ME), entropy(ME), round_) for round_ in range(50)}
    assert len(salts) == 50


def test_a_result_is_never_replaced() -> None:
    state, actions = step(started(ME), start(ME, WRONG), 0.1)
    assert actions == ()
    assert state.result == started(ME).result


def test_a_commitment_is_never_replaced() -> None:
    state = feed(started(ME), 0.1, *heard(0))[0]
    state, actions = feed(state, 0.1, (0, commit_of(0, output=WRONG)))
    assert reasons(actions) == ["a commitment is never replaced"]
    assert state.commits[0] == commit_of(0)


def test_a_commit_counts_only_from_its_author() -> None:
    state, actions = feed(started(ME), 0.1, (2, commit_of(0)))
    assert "author" in reasons(actions)[0]
    assert state.commits[0] is None


def test_commits_that_come_before_the_own_result_count() -> None:
    state = feed(begin(committee(0)), 0.0, *heard(1, 2, 3))[0]
    assert sent(step(state, start(0), 0.1)[1], Propose)


# Proposing


def test_the_proposer_proposes_when_all_have_committed() -> None:
    state, actions = feed(started(0), 0.1, *heard(1, 2))
    assert not sent(actions, Propose)
    _, actions = feed(state, 0.1, *heard(3))
    assert sent(actions, Propose) == [EVERYBODY]


def test_the_proposer_makes_do_with_a_quorum_at_the_commit_deadline() -> None:
    state = feed(started(0), 0.1, *heard(1, 2))[0]
    assert not sent(step(state, Tick(), 0.69)[1], Propose)
    assert sent(step(state, Tick(), 0.71)[1], Propose) == [set_of(0, 1, 2)]


def test_less_than_a_quorum_is_never_proposed() -> None:
    state = feed(started(0), 0.1, *heard(1))[0]
    assert not sent(step(state, Tick(), 0.7)[1], Propose)


def test_only_the_member_whose_turn_it_is_proposes() -> None:
    _, actions = feed(started(ME), 0.1, *heard(0, 2, 3))
    assert not sent(actions, Propose)
    _, actions = feed(with_all_commits(), 0.1, (2, EVERYBODY))
    assert reasons(actions) == ["it is not this member's turn to propose"]


def test_the_proposer_leaves_forged_commits_out() -> None:
    forged = replace(commit_of(3), r=b"\x07" * 32)
    state, actions = feed(started(0), 0.1, *heard(1, 2), (3, forged))
    assert not sent(actions, Propose)
    assert sent(step(state, Tick(), 0.71)[1], Propose) == [set_of(0, 1, 2)]


# Locking


def test_a_member_locks_a_full_set_at_once_and_journals_first() -> None:
    _, actions = feed(with_all_commits(), 0.1, (0, EVERYBODY))
    assert order(actions, Locked, Lock)
    assert sent(actions, Lock) == [signed_lock(ME, EVERYBODY)]


def test_a_partial_set_waits_for_the_commit_deadline() -> None:
    state = feed(started(ME), 0.1, *heard(0, 2))[0]
    state, actions = feed(state, 0.2, (0, set_of(0, 1, 2)))
    assert not sent(actions, Lock)
    assert sent(step(state, Tick(), 0.71)[1], Lock) == [signed_lock(ME, set_of(0, 1, 2))]


def test_a_member_locks_once_a_round() -> None:
    state = feed(with_all_commits(), 0.1, (0, EVERYBODY))[0]
    _, actions = feed(state, 0.7, (0, set_of(0, 1, 2)), (0, EVERYBODY))
    assert not sent(actions, Lock)
    assert reasons(actions) == ["a second set was proposed in one round"]


def test_a_set_without_this_member_is_refused() -> None:
    _, actions = feed(with_all_commits(), 0.7, (0, set_of(0, 2, 3)))
    assert reasons(actions) == ["the set leaves out the commit of this member"]


def test_a_set_with_another_commit_of_this_member_is_refused() -> None:
    _, actions = feed(with_all_commits(), 0.1, (0, set_of(0, 1, 2, 3, wrong=[1])))
    assert not sent(actions, Lock)
    assert "not its own" in reasons(actions)[0]


def test_a_set_without_a_commit_that_is_here_is_refused_in_one_round_only() -> None:
    state = feed(with_all_commits(), 0.7, (0, set_of(0, 1, 2)))[0]
    assert state.locks[ME] is None
    state, actions = feed(state, 0.7, (0, set_of(0, 1, 2)))
    assert reasons(actions) == ["the set leaves out the commit of member 3"]
    for round_ in (1, 2, 3, 4):
        state, _ = step(state, Tick(), 1.3 * round_)
    state = feed(state, 5.3, *heard(0, 2, 3, round_=4))[0]
    _, actions = feed(state, 7.0, (0, set_of(0, 1, 2, round_=4)))
    assert sent(actions, Lock)


def test_a_commit_that_did_not_come_here_counts_when_its_author_signed_it() -> None:
    state = feed(started(ME), 0.1, *heard(0, 2))[0]
    assert sent(feed(state, 0.2, (0, EVERYBODY))[1], Lock)
    forged = replace(
        EVERYBODY, commits=(*EVERYBODY.commits[:3], replace(commit_of(3), r=b"\x07" * 32))
    )
    actions = feed(state, 0.2, (0, forged))[1]
    assert not sent(actions, Lock)
    assert reasons(actions)


@pytest.mark.parametrize(
    "proposal",
    [
        replace(EVERYBODY, commits=EVERYBODY.commits[::-1]),
        replace(EVERYBODY, commits=(*EVERYBODY.commits, EVERYBODY.commits[3])),
        replace(EVERYBODY, commits=EVERYBODY.commits[:2]),
        replace(EVERYBODY, commits=(*EVERYBODY.commits[:3], commit_of(3, 1))),
        replace(EVERYBODY, commits=(*EVERYBODY.commits[:3], replace(commit_of(3), position=4))),
    ],
)
def test_a_malformed_set_is_refused(proposal: Propose) -> None:
    _, actions = feed(with_all_commits(), 0.7, (0, proposal))
    assert not sent(actions, Lock)
    assert reasons(actions)


# Certificates


def test_a_quorum_of_locks_makes_a_certificate_and_opens_the_result() -> None:
    state = feed(with_all_commits(), 0.1, (0, EVERYBODY), (0, signed_lock(0, EVERYBODY)))[0]
    _, actions = feed(state, 0.1, (2, signed_lock(2, EVERYBODY)))
    assert sent(actions, Certificate) == [CERTIFICATE]
    assert sent(actions, Reveal) == [opened(ME, CERTIFICATE)]
    assert order(actions, Certified, Reveal)


def test_nothing_is_opened_without_a_quorum_of_locks_of_one_set() -> None:
    other = signed_lock(2, set_of(0, 1, 2))
    _, actions = feed(
        with_all_commits(), 0.1, (0, EVERYBODY), (0, signed_lock(0, EVERYBODY)), (2, other)
    )
    assert not sent(actions, Reveal)


def test_locks_may_come_before_the_set() -> None:
    locks = [(place, signed_lock(place, EVERYBODY)) for place in (0, 2)]
    _, actions = feed(with_all_commits(), 0.1, *locks, (0, EVERYBODY))
    assert sent(actions, Reveal)


def test_forged_locks_do_not_count() -> None:
    forged = replace(signed_lock(2, EVERYBODY), position=3)
    _, actions = feed(
        with_all_commits(), 0.1, (0, EVERYBODY), (0, signed_lock(0, EVERYBODY)), (3, forged)
    )
    assert not sent(actions, Reveal)
    assert reasons(actions)


def test_a_certificate_from_anybody_opens_the_result_too() -> None:
    state, actions = feed(started(ME), 0.1, (3, CERTIFICATE))
    assert sent(actions, Reveal)
    assert not feed(state, 0.1, (2, CERTIFICATE))[1]


@pytest.mark.parametrize(
    "certificate",
    [
        certified(EVERYBODY, (0, 1)),
        certified(EVERYBODY, (0, 0, 1)),
        replace(CERTIFICATE, commitments=CERTIFICATE.commitments[:3]),
        replace(CERTIFICATE, round=1),
        replace(CERTIFICATE, locks=(*CERTIFICATE.locks[:2], signed_lock(2, set_of(0, 1, 2)))),
        replace(
            CERTIFICATE, locks=(*CERTIFICATE.locks[:2], replace(CERTIFICATE.locks[2], position=3))
        ),
    ],
)
def test_an_invalid_certificate_opens_nothing(certificate: Certificate) -> None:
    _, actions = feed(started(ME), 0.1, (3, certificate))
    assert not sent(actions, Reveal)
    assert reasons(actions)


def test_after_a_certificate_no_other_set_is_locked() -> None:
    state = step(with_all_commits(), Tick(), 1.3)[0]
    assert state.round == 1
    state = feed(state, 1.4, (0, CERTIFICATE), *heard(0, 2, 3, round_=1))[0]
    assert state.locks[ME] is None
    for now in (1.4, 1.9, 2.6, 3.9, 9.9):
        state, actions = step(state, Tick(), now)
        assert not sent(actions, Lock)


def test_a_member_that_did_not_open_a_certified_set_is_kept_out_of_later_ones() -> None:
    certificate = certified(set_of(0, 1, 3, wrong=[3]), (0, 1, 3))
    state = feed(started(ME), 0.1, (0, certificate), (0, opened(0, certificate)))[0]
    state = step(state, Tick(), 0.7)[0]
    assert state.round == 1
    state, actions = feed(state, 0.8, *heard(0, 2, 3, round_=1))
    assert sent(actions, Propose) == [set_of(0, 1, 2, round_=1)]
    assert sent(actions, Lock) == [signed_lock(ME, set_of(0, 1, 2, round_=1))]


def test_a_set_with_a_member_that_did_not_open_an_earlier_one_is_refused() -> None:
    certificate = certified(set_of(0, 1, 3, wrong=[3]), (0, 1, 3))
    state = feed(started(ME), 0.1, (0, certificate), (0, opened(0, certificate)))[0]
    for now in (0.7, 2.0):
        state = step(state, Tick(), now)[0]
    state = feed(state, 2.1, *heard(0, 2, 3, round_=2))[0]
    _, actions = feed(state, 2.1, (2, set_of(0, 1, 2, 3, round_=2)))
    assert reasons(actions) == ["member 3 has not opened an earlier set"]


# Opening


def test_a_quorum_of_equal_attestations_settles() -> None:
    _, actions = settled_state()
    (settled,) = [action for action in actions if isinstance(action, Settled)]
    evidence = settled.evidence
    assert evidence.tensors_out == (RIGHT,)
    assert [result.position for result in evidence.results] == [0, 1, 2]
    verify_evidence(CONTEXT, MEMBERS, 4, evidence)
    journalled = [isinstance(a, Journal) and isinstance(a.record, Agreed) for a in actions]
    assert journalled.index(True) < actions.index(settled)


def test_a_reveal_after_the_time_for_it_is_still_collected() -> None:
    state, _ = settled_state()
    state, _ = step(state, Tick(), 100.0)
    assert state.finished
    _, actions = feed(state, 101.0, (3, opened(3, CERTIFICATE)))
    (extended,) = [action for action in actions if isinstance(action, Extended)]
    assert [result.position for result in extended.evidence.results] == [0, 1, 2, 3]


def test_a_late_reveal_of_the_set_is_still_collected() -> None:
    state, _ = settled_state()
    state, actions = feed(state, 0.3, (3, opened(3, CERTIFICATE)))
    (extended,) = [action for action in actions if isinstance(action, Extended)]
    assert len(extended.evidence.results) == 4
    assert actions[-1] == Finished(())


def test_who_stays_silent_is_named_at_the_end() -> None:
    state, _ = settled_state()
    assert next_wake(state) == pytest.approx(0.8)
    state, actions = step(state, Tick(), 0.81)
    assert actions == (Finished((3,)),)
    assert next_wake(state) is None


def test_who_attests_another_result_is_named_with_its_statement() -> None:
    certificate = certified(set_of(0, 1, 2, 3, wrong=[3]))
    liar = opened(3, certificate, WRONG)
    honest = [(place, opened(place, certificate)) for place in (0, 2)]
    for reveals in ([(3, liar), *honest], [*honest, (3, liar)]):
        _, actions = feed(with_all_commits(), 0.1, (0, certificate), *reveals)
        (dissent,) = [action for action in actions if isinstance(action, Dissent)]
        assert (dissent.position, dissent.reveal.out_digest) == (3, digest_of((WRONG,)))


SPLIT = certified(set_of(0, 1, 2, 3, wrong=[2, 3]))
SIDES = [(0, opened(0, SPLIT)), *((place, opened(place, SPLIT, WRONG)) for place in (2, 3))]


def against(actions: Sequence[Action]) -> list[Statement]:
    return [action.statement for action in actions if isinstance(action, Opposed)]


def test_a_split_committee_leaves_a_statement_of_the_other_side() -> None:
    """Everybody locks one set whatever is in it, so all of them open and sign before they know."""
    state, told = feed(with_all_commits(), 0.1, (0, SPLIT), *SIDES)
    assert against(told) == []  # somebody may still come
    state, actions = step(state, Tick(), 0.71)
    statements = against(actions)
    assert [one.signer for one in statements] == [MEMBERS[2], MEMBERS[3]]
    assert [one.reveal.out_digest for one in statements] == [digest_of((WRONG,))] * 2
    assert {one.commitments for one in statements} == {SPLIT.commitments}
    assert not any(one.reveal.tensors for one in statements)
    assert against(step(state, Tick(), 5.0)[1]) == []


def test_a_statement_that_comes_late_is_handed_out_as_well() -> None:
    state, _ = feed(with_all_commits(), 0.1, (0, SPLIT), *SIDES[:2])
    state, actions = step(state, Tick(), 0.71)
    assert [one.signer for one in against(actions)] == [MEMBERS[2]]
    _, told = feed(state, 0.8, SIDES[2])
    assert [one.signer for one in against(told)] == [MEMBERS[3]]


def test_nobody_is_opposed_in_a_set_that_settles() -> None:
    outvoted = certified(set_of(0, 1, 2, 3, wrong=[3]))
    reveals = [(0, opened(0, outvoted)), (3, opened(3, outvoted, WRONG)), (2, opened(2, outvoted))]
    state, actions = feed(with_all_commits(), 0.1, (0, outvoted), *reveals)
    assert against((*actions, *step(state, Tick(), 2.0)[1])) == []


def test_who_worked_on_another_input_is_not_opposed() -> None:
    other = replace(opened(2, CERTIFICATE), in_digest=Digest(bytes(32)))
    state, _ = feed(with_all_commits(), 0.1, (0, CERTIFICATE), (0, opened(0, CERTIFICATE)))
    state = replace(state, reveals=(*state.reveals, other))
    assert against(step(state, Tick(), 0.71)[1]) == []


def test_a_member_that_is_wrong_itself_learns_it() -> None:
    certificate = certified(set_of(0, 1, 2, 3, wrong=[1]))
    reveals = [(place, opened(place, certificate)) for place in (0, 2, 3)]
    _, actions = feed(started(ME, WRONG), 0.1, (0, certificate), *reveals)
    (settled,) = [action for action in actions if isinstance(action, Settled)]
    assert settled.evidence.tensors_out == (RIGHT,)
    assert [a.position for a in actions if isinstance(a, Dissent)] == [ME]


REVEAL = opened(2, CERTIFICATE)


@pytest.mark.parametrize(
    ("reveal", "reason"),
    [
        (replace(REVEAL, salt=bytes(32)), "does not open"),
        (replace(REVEAL, in_digest=Digest(bytes(32))), "does not open"),
        (replace(REVEAL, out_digest=digest_of((WRONG,))), "does not open"),
        (replace(REVEAL, position=3), "does not open"),
        (replace(REVEAL, position=5), "no member at position 5"),
        (replace(REVEAL, set_digest=Digest(bytes(32))), "another set"),
        (replace(REVEAL, tensors=(WRONG,)), "do not match the digest"),
        (replace(REVEAL, tensors=(RIGHT, RIGHT)), "not an output of this shard"),
        (replace(REVEAL, tensors=(b"",)), "do not match|not an output"),
        (replace(REVEAL, payload=b"x"), "payload"),
        (replace(REVEAL, payload_hash=Digest(b"\x01" * 32)), "not signed"),
        (replace(REVEAL, r=b"\x01" * 32), "not signed|recovered"),
        (replace(REVEAL, vs=b"\xff" * 32), "high s"),
        (replace(REVEAL, context=replace(CONTEXT, attempt=1)), "other work"),
    ],
)
def test_a_reveal_that_does_not_check_out_is_dropped(reveal: Reveal, reason: str) -> None:
    state = feed(with_all_commits(), 0.1, (0, CERTIFICATE))[0]
    after, actions = feed(state, 0.1, (2, reveal))
    assert after.reveals == state.reveals
    (dropped,) = reasons(actions)
    assert any(part in dropped for part in reason.split("|"))


def test_a_reveal_without_a_commit_in_the_set_is_dropped() -> None:
    certificate = certified(set_of(0, 1, 2))
    late = replace(REVEAL, position=3, set_digest=set_digest(CONTEXT, 0, certificate.commitments))
    _, actions = feed(with_all_commits(), 0.1, (0, certificate), (3, late))
    assert "does not open" in reasons(actions)[0]


def test_a_reveal_that_overtakes_its_certificate_counts_later() -> None:
    state, actions = feed(with_all_commits(), 0.1, *[(p, opened(p, CERTIFICATE)) for p in (0, 2)])
    assert not reasons(actions)
    _, actions = feed(state, 0.1, (3, CERTIFICATE))
    assert any(isinstance(action, Settled) for action in actions)


def test_a_message_from_outside_the_committee_is_dropped() -> None:
    for sender in (-1, ME, 4):
        _, actions = feed(started(ME), 0.1, (sender, commit_of(0)))
        assert reasons(actions) == ["the sender is not another member of this committee"]


# Rounds


def test_a_failed_round_is_followed_by_one_with_the_same_result_and_a_fresh_commitment() -> None:
    state, actions = step(with_all_commits(), Tick(), 1.29)
    assert state.round == 0
    state, actions = step(with_all_commits(), Tick(), 1.31)
    assert state.round == 1
    (commit,) = sent(actions, Commit)
    assert commit == commit_of(ME, 1)
    assert commit.commitment != commit_of(ME, 0).commitment


def test_a_proposer_that_has_not_committed_is_not_waited_for() -> None:
    state = feed(started(ME), 0.1, *heard(2, 3))[0]
    assert step(state, Tick(), 0.69)[0].round == 0
    state, _ = step(state, Tick(), 0.71)
    assert state.round == 1
    _, actions = feed(state, 0.72, *heard(2, 3, round_=1))
    assert sent(actions, Propose) == [set_of(1, 2, 3, round_=1)]


def test_nobody_runs_ahead_of_a_quorum() -> None:
    state = feed(started(ME), 0.1, *heard(3))[0]
    assert step(state, Tick(), 60.0)[0].round == 0
    state = feed(state, 60.0, *heard(2))[0]
    assert step(state, Tick(), 60.0 + 8 * 0.6 + 0.01)[0].round == 1


def test_who_waited_long_for_a_quorum_gives_it_as_long_for_the_rest() -> None:
    """Machines that were busy before are busy now; shorter rounds would fail and cost more."""
    quick = feed(started(ME), 0.1, *heard(2, 3))[0]
    assert step(quick, Tick(), 0.1 + 0.61)[0].round == 1
    slow = feed(started(ME), 3.0, *heard(2, 3))[0]
    assert step(slow, Tick(), 3.0 + 2.9)[0].round == 0
    assert step(slow, Tick(), 3.0 + 3.1)[0].round == 1


def test_a_member_that_is_behind_joins_the_round_that_an_honest_one_is_in() -> None:
    state = feed(started(ME), 0.1, (3, commit_of(3, 9)))[0]
    assert state.round == 0
    state, actions = feed(state, 0.1, (2, commit_of(2, 4)))
    assert state.round == 4
    assert sent(actions, Commit) == [commit_of(ME, 4)]


def test_all_certificates_are_passed_on_with_a_new_round() -> None:
    state = feed(started(ME), 0.1, (0, CERTIFICATE))[0]
    _, actions = step(state, Tick(), 0.7)
    assert sent(actions, Certificate) == [CERTIFICATE]


def test_rounds_grow_longer_so_that_a_slow_network_is_met() -> None:
    made = committee(ME)
    assert [made.patience(round_) for round_ in (0, 1, 2, 9, 1000)] == [1, 1.5, 2.25, 16, 16]


# Asking


def test_a_member_asks_when_the_result_is_overdue_and_is_answered() -> None:
    asking = step(with_all_commits(), Tick(), 0.31)[1]
    assert len(sent(asking, Inquiry)) == 1
    asked = feed(settled_state()[0], 0.4, (3, Inquiry(CONTEXT, 0)))[1]
    assert sent(asked, Certificate) == [CERTIFICATE]
    assert len(sent(asked, Reveal)) == 3
    assert not any(reveal.tensors for reveal in sent(asked, Reveal))
    answers = [a.message for a in asked if isinstance(a, Send)]
    actions = feed(started(3), 0.5, *[(ME, message) for message in answers])[1]
    assert any(isinstance(action, Settled) for action in actions)


def test_who_gets_no_answer_asks_less_and_less_often() -> None:
    """Busy members are not kept busy with questions; a later round begins anew."""
    state, asked = started(ME), []
    for now in np.arange(0.1, 30, 0.1):
        state, actions = step(state, Tick(), float(now))
        asked += [float(now)] * len(sent(actions, Inquiry))
    pauses = np.diff(asked)
    assert pauses[0] < 0.8
    assert (np.diff(pauses) > -0.11).all()
    assert pauses[-1] == pytest.approx(5, abs=0.11)
    state = feed(state, 30.0, *heard(2, 3, round_=1))[0]
    assert state.inquiries == 0


def test_answers_are_rationed() -> None:
    state, first = feed(settled_state()[0], 0.4, (3, Inquiry(CONTEXT, 0)))
    state, second = feed(state, 0.45, (3, Inquiry(CONTEXT, 0)))
    assert first
    assert not second
    assert feed(state, 0.6, (3, Inquiry(CONTEXT, 0)))[1]


def test_a_settled_member_answers_whoever_is_in_a_later_round() -> None:
    _, actions = feed(settled_state()[0], 0.4, (3, commit_of(3, 1)))
    assert sent(actions, Certificate)


# A committee of one


def test_a_prover_alone_settles_at_once() -> None:
    state, actions = step(begin(committee(0, 1)), start(0), 0.0)
    (settled,) = [action for action in actions if isinstance(action, Settled)]
    verify_evidence(CONTEXT, MEMBERS[:1], 1, settled.evidence)
    assert not [action for action in actions if isinstance(action, Send)]
    assert state.finished


# Crashes


def test_records_come_back_from_their_bytes() -> None:
    _, actions = settled_state()
    first = step(begin(committee(ME)), start(ME), 0.0)[1]
    locked = feed(with_all_commits(), 0.1, (0, EVERYBODY))[1]
    records = [a.record for a in [*first, *locked, *actions] if isinstance(a, Journal)]
    assert {type(record) for record in records} == {Computed, Joined, Locked, Certified, Agreed}
    assert [decode_record(encode_record(record)) for record in records] == records


def test_a_restart_says_the_same_again() -> None:
    state, actions = step(begin(committee(ME)), start(ME), 0.0)
    journal = [a.record for a in actions if isinstance(a, Journal)]
    state, more = feed(state, 0.1, *heard(0, 2, 3), (0, EVERYBODY))
    journal += [a.record for a in more if isinstance(a, Journal)]
    back, again = step(restore(committee(ME), journal), Restarted(), 0.2)
    assert sent(again, Commit) == sent(actions, Commit)
    assert sent(again, Lock) == sent(more, Lock)
    assert not sent(feed(back, 0.3, *heard(0, 2, 3), (0, set_of(0, 1, 2)))[1], Lock)


def test_a_restart_after_settling_serves_the_same_evidence() -> None:
    first = step(begin(committee(ME)), start(ME), 0.0)[1]
    _, actions = settled_state()
    journal = [a.record for a in [*first, *actions] if isinstance(a, Journal)]
    _, again = step(restore(committee(ME), journal), Restarted(), 9.0)
    assert [a for a in again if isinstance(a, Settled)] == [
        a for a in actions if isinstance(a, Settled)
    ]


def test_an_empty_journal_is_a_beginning() -> None:
    assert restore(committee(ME), []) == begin(committee(ME))


def test_time_alone_does_nothing_before_the_start() -> None:
    state, actions = step(begin(committee(ME)), Tick(), 5.0)
    assert actions == ()
    assert next_wake(state) is None


def test_any_message_before_the_start_is_harmless() -> None:
    messages: list[MemberMessage] = [
        commit_of(0),
        EVERYBODY,
        signed_lock(0, EVERYBODY),
        CERTIFICATE,
        opened(0, CERTIFICATE),
        Inquiry(CONTEXT, 0),
    ]
    state = begin(committee(ME))
    for message in messages:
        state, actions = step(state, MessageReceived(0, message), 0.0)
        assert not sent(actions, Reveal)
