"""The agreement of one committee on one shard's result, as a pure function over events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, assert_never

from nesa.protocol.errors import InvalidMessage
from nesa.protocol.locks import verify_certificate, verify_lock
from nesa.protocol.messages import (
    Certificate,
    Commit,
    Inquiry,
    Lock,
    MemberMessage,
    Propose,
    Reveal,
)
from nesa_miner.agreement.actions import Journal, Settled
from nesa_miner.agreement.deadlines import next_inquiry, next_wake
from nesa_miner.agreement.events import Event, MessageReceived, Restarted, Started, Tick
from nesa_miner.agreement.inquiries import answer, inquire, known
from nesa_miner.agreement.locking import gather, lock, move_on, propose
from nesa_miner.agreement.records import Agreed, Certified, Computed, Joined, Locked, Record
from nesa_miner.agreement.settling import (
    adopt,
    certify,
    evidence_of,
    finish,
    oppose,
    take,
)
from nesa_miner.agreement.signing import own_commit, own_reveal, stripped
from nesa_miner.agreement.state import (
    Output,
    State,
    Step,
    certificate_of,
    drop,
    empty,
    enter,
    follow,
    put,
    still,
    tell,
)
from nesa_miner.agreement.terms import Committee

MOST_AHEAD: Final = 1024
"""Rounds that a member may be ahead and still be listened to."""

__all__ = ["begin", "next_wake", "restore", "step"]


def begin(committee: Committee, first_round: int = 0) -> State:
    """The state before anything has happened; messages of others may arrive before `Started`."""
    return replace(empty(committee), round=first_round - 1)


def step(state: State, event: Event, now: float) -> Step:
    """The state after `event` and what to do, in order. `now` is in seconds and never goes back."""
    state = replace(state, now=now)
    match event:
        case Started():
            state, actions = _start(state, event)
        case MessageReceived(position, message):
            state, actions = _receive(state, position, message)
        case Restarted():
            state, actions = _resume(state)
        case Tick():
            state, actions = still(state)
        case _:
            assert_never(event)
    state, more = _advance(state)
    return state, actions + more


def _advance(state: State) -> Step:
    return follow(state, gather, move_on, gather, propose, lock, certify, inquire, oppose, finish)


def _start(state: State, event: Started) -> Step:
    if state.result is not None:
        return still(state)
    state = replace(state, result=event.result, entropy=event.entropy)
    state = replace(state, inquire_at=next_inquiry(state))
    return state, (Journal(Computed(event.result, event.entropy)),)


def _receive(state: State, sender: int, message: MemberMessage) -> Step:
    committee = state.committee
    if sender not in committee.others:
        return drop(state, sender, "the sender is not another member of this committee")
    if message.context != committee.context:
        return drop(state, sender, "the message is about other work")
    match message:
        case Commit():
            return _receive_commit(state, sender, message)
        case Propose():
            return _receive_proposal(state, sender, message)
        case Lock():
            return _receive_lock(state, sender, message)
        case Certificate():
            return _receive_certificate(state, sender, message)
        case Reveal():
            return take(state, sender, message)
        case Inquiry():
            return answer(state, sender)
        case _:
            assert_never(message)


def _receive_commit(state: State, sender: int, commit: Commit) -> Step:
    if commit.position != sender:
        return drop(state, sender, "a commit counts only when its author sends it")
    if state.settled is not None:
        return answer(state, sender) if commit.round > state.settled.round else still(state)
    if commit.round < state.round or commit.round > state.round + MOST_AHEAD:
        return still(state)
    if commit.round > state.round:
        held = state.ahead[sender]
        if held is None or held.round < commit.round:
            return replace(state, ahead=put(state.ahead, sender, commit)), ()
    elif state.commits[sender] is None:
        return replace(state, commits=put(state.commits, sender, commit)), ()
    else:
        held = state.commits[sender]
    if held is not None and held.round == commit.round and held != commit:
        return drop(state, sender, "a commitment is never replaced")
    return still(state)


def _receive_proposal(state: State, sender: int, proposal: Propose) -> Step:
    committee = state.committee
    if state.settled is not None:
        return answer(state, sender) if proposal.round > state.settled.round else still(state)
    if proposal.round != state.round or proposal == state.proposal:
        return still(state)
    if sender != committee.proposer(proposal.round):
        return drop(state, sender, "it is not this member's turn to propose")
    if state.proposal is not None:
        return drop(state, sender, "a second set was proposed in one round")
    positions = [commit.position for commit in proposal.commits]
    if positions != sorted(set(positions)) or positions[-1] >= committee.size:
        return drop(state, sender, "the set is not in ascending positions of the committee")
    heads = {(commit.context, commit.round) for commit in proposal.commits}
    if heads != {(proposal.context, proposal.round)}:
        return drop(state, sender, "the set has commits of another round or of other work")
    if len(positions) < committee.quorum:
        return drop(state, sender, "the set has fewer commitments than a quorum")
    if committee.me not in positions:
        return drop(state, sender, "the set leaves out the commit of this member")
    return replace(state, proposal=proposal), ()


def _receive_lock(state: State, sender: int, lock_: Lock) -> Step:
    if state.settled is not None:
        return answer(state, sender) if lock_.round > state.settled.round else still(state)
    if lock_.round != state.round or certificate_of(state, lock_.round) is not None:
        return still(state)
    if lock_.position not in state.committee.others:
        return still(state)
    held = state.locks[lock_.position]
    if held is not None:
        same = held.set_digest == lock_.set_digest
        return still(state) if same else drop(state, sender, "a second lock in one round")
    try:
        verify_lock(state.committee.members, lock_)
    except InvalidMessage as error:
        return drop(state, sender, str(error))
    return replace(state, locks=put(state.locks, lock_.position, lock_)), ()


def _receive_certificate(state: State, sender: int, certificate: Certificate) -> Step:
    if state.settled is not None or certificate_of(state, certificate.round) is not None:
        return still(state)
    try:
        verify_certificate(state.committee.members, certificate)
    except InvalidMessage as error:
        return drop(state, sender, str(error))
    return adopt(state, certificate)


def _resume(state: State) -> Step:
    """Say again what may not have left, and ask for what was missed."""
    now = state.now
    state = replace(state, joined_at=now, certified_at=now, inquire_at=now)
    evidence = evidence_of(state)
    if evidence is not None:
        return state, (Settled(evidence),)
    return state, tell(state, *known(state))


def restore(committee: Committee, records: Iterable[Record]) -> State:
    """The state that a journal holds, records in their order; then `step` it with `Restarted`.

    Without a result in the journal it needs a `Started` as well.
    """
    state = empty(committee)
    for record in records:
        state = _replay(state, record)
    return state


def _replay(state: State, record: Record) -> State:
    me = state.committee.me
    match record:
        case Computed(result, entropy):
            return replace(state, result=result, entropy=entropy)
        case Joined(round_):
            return _replay_join(enter(state, round_), round_)
        case Locked(signed, proposal):
            return replace(state, locks=put(state.locks, me, signed), proposal=proposal)
        case Certified(certificate):
            return _replay_certificate(state, certificate)
        case Agreed(reveals, tensors, payload):
            settled = reveals[0]
            others = tuple(held for held in state.reveals if held.round != settled.round)
            outputs = ((settled.out_digest, Output(tensors, payload)),)
            return replace(state, reveals=others + reveals, outputs=outputs, settled=settled)
        case _:
            assert_never(record)


def _replay_join(state: State, round_: int) -> State:
    if state.result is None:
        return state
    commit = own_commit(state, state.result, round_)
    return replace(state, commits=put(state.commits, commit.position, commit))


def _replay_certificate(state: State, certificate: Certificate) -> State:
    if certificate.round > state.round:
        state = enter(state, certificate.round)
    state = replace(state, certificates=(*state.certificates, certificate))
    reveal = own_reveal(state, certificate)
    if reveal is None:
        return state
    return replace(state, reveals=(*state.reveals, stripped(reveal)))
