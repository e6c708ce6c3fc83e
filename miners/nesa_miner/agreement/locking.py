"""From commitments to one certified set: joining a round, proposing, locking."""

from __future__ import annotations

from dataclasses import replace

from nesa.protocol.commitments import set_digest
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.locks import verify_commit
from nesa.protocol.messages import Certificate, Commit, Propose
from nesa_miner.agreement.actions import Dropped, Journal
from nesa_miner.agreement.deadlines import commit_until, lock_until, slowness, waiting
from nesa_miner.agreement.records import Joined, Locked
from nesa_miner.agreement.signing import own_commit, own_lock
from nesa_miner.agreement.state import (
    State,
    Step,
    certificate_of,
    drop,
    enter,
    excluded,
    put,
    still,
    tell,
)


def move_on(state: State) -> Step:
    """Join the first round, the next when this one has failed, or the one that others are in."""
    if state.result is None or state.settled is not None or waiting(state):
        return still(state)
    round_ = max(_due_round(state), _common_round(state))
    return join(state, round_) if round_ > state.round else still(state)


def gather(state: State) -> Step:
    """Start the clock of the round when a quorum is in it, so that nobody runs ahead alone."""
    if state.gathered_at is not None or state.commits[state.committee.me] is None:
        return still(state)
    present = sum(
        now is not None or later is not None
        for now, later in zip(state.commits, state.ahead, strict=True)
    )
    if present < state.committee.quorum:
        return still(state)
    return replace(state, gathered_at=state.now, slowness=slowness(state)), ()


def join(state: State, round_: int) -> Step:
    """Commit to this member's result in `round_`, and pass on every certificate."""
    if state.result is None:
        return still(state)
    commit = own_commit(state, state.result, round_)
    state = enter(state, round_)
    state = replace(state, commits=put(state.commits, commit.position, commit), joined_at=state.now)
    told = tell(state, *state.certificates, commit)
    return state, (Journal(Joined(round_)), *told)


def _due_round(state: State) -> int:
    joined = state.commits[state.committee.me] is not None
    failed = certificate_of(state, state.round) is not None or state.now >= _hope_until(state)
    return state.round if joined and not failed else state.round + 1


def _hope_until(state: State) -> float:
    """A proposer that has not even committed in time is not waited for any longer."""
    proposer = state.commits[state.committee.proposer(state.round)]
    return commit_until(state) if proposer is None else lock_until(state)


def _common_round(state: State) -> int:
    """The latest round that at least one honest member has reached."""
    tolerated = state.committee.size - state.committee.quorum
    rounds = sorted((held.round for held in state.ahead if held is not None), reverse=True)
    return rounds[tolerated] if len(rounds) > tolerated else state.round


def propose(state: State) -> Step:
    """When it is this member's turn: propose all commits, or a quorum at the commit deadline."""
    committee = state.committee
    if committee.proposer(state.round) != committee.me or not _may_lock(state):
        return still(state)
    if state.proposal is not None or not _is_time(state, [held for held in state.commits if held]):
        return still(state)
    state, dropped = _without_forgeries(state)
    commits = _eligible(state)
    if not _is_time(state, commits):
        return state, dropped
    proposal = Propose(committee.context, state.round, commits)
    return replace(state, proposal=proposal), (*dropped, *tell(state, proposal))


def _eligible(state: State) -> tuple[Commit, ...]:
    barred = excluded(state)
    return tuple(held for held in state.commits if held and held.position not in barred)


def _is_time(state: State, commits: tuple[Commit, ...] | list[Commit]) -> bool:
    committee = state.committee
    awaited = state.expected - excluded(state)
    complete = awaited <= {held.position for held in commits}
    return len(commits) >= committee.quorum and (complete or state.now >= commit_until(state))


def _without_forgeries(state: State) -> Step:
    dropped: list[Dropped] = []
    for held in state.commits:
        if held is None or held.position == state.committee.me:
            continue
        try:
            verify_commit(state.committee.members, held)
        except InvalidMessage as error:
            state = replace(state, commits=put(state.commits, held.position, None))
            dropped.append(Dropped(held.position, str(error)))
    return state, tuple(dropped)


def _may_lock(state: State) -> bool:
    me = state.committee.me
    joined, locked = state.commits[me] is not None, state.locks[me] is not None
    certified = certificate_of(state, state.round) is not None
    return joined and not locked and not certified and not waiting(state)


def lock(state: State) -> Step:
    """Sign the proposed set, once a round, when nothing speaks against it."""
    proposal, committee = state.proposal, state.committee
    if proposal is None or not _may_lock(state) or not _is_time(state, proposal.commits):
        return still(state)
    try:
        _check_entries(state, proposal)
    except InvalidMessage as error:
        proposer = committee.proposer(state.round)
        return drop(replace(state, proposal=None), proposer, str(error))
    omitted = _insist_on(state, proposal)
    if omitted is not None:
        insisted = put(state.insisted, omitted, state.round)
        state = replace(state, proposal=None, insisted=insisted)
        proposer = committee.proposer(state.round)
        return drop(state, proposer, f"the set leaves out the commit of member {omitted}")
    signed = own_lock(state, proposal)
    state = replace(state, locks=put(state.locks, committee.me, signed))
    return state, (Journal(Locked(signed, proposal)), *tell(state, signed))


def _check_entries(state: State, proposal: Propose) -> None:
    """Every commit is its member's, and none is of a member that may be copying."""
    barred = excluded(state)
    for commit in proposal.commits:
        if commit.position in barred:
            raise InvalidMessage(f"member {commit.position} has not opened an earlier set")
        if commit == state.commits[commit.position]:
            continue
        if commit.position == state.committee.me:
            raise InvalidMessage("the set has a commit of this member that is not its own")
        verify_commit(state.committee.members, commit)


def _insist_on(state: State, proposal: Propose) -> int | None:
    """A member whose commit is here but not in the set. Each one is insisted on in one round only,
    so that nobody can stop the committee by committing to some members and not to others."""
    present = {commit.position for commit in proposal.commits} | excluded(state)
    for held in state.commits:
        if held is None or held.position in present:
            continue
        if state.insisted[held.position] not in (None, state.round):
            continue
        try:
            verify_commit(state.committee.members, held)
        except InvalidMessage:
            continue
        return held.position
    return None


def certificate_made(state: State) -> Certificate | None:
    """The certificate that this member can make itself from the locks that it has."""
    proposal, committee = state.proposal, state.committee
    if proposal is None or certificate_of(state, state.round) is not None:
        return None
    commitments = proposal.commitments(committee.size)
    digest = set_digest(committee.context, state.round, commitments)
    locks = [held for held in state.locks if held is not None and held.set_digest == digest]
    if len(locks) < committee.quorum:
        return None
    return Certificate(
        committee.context, state.round, commitments, tuple(locks[: committee.quorum])
    )
