"""Until when a member waits for what, in seconds of the caller's clock."""

from __future__ import annotations

from math import inf

from nesa_miner.agreement.state import State


def commit_until(state: State) -> float:
    """From when on a set of a quorum is enough."""
    committee = state.committee
    since = inf if state.gathered_at is None else state.gathered_at
    return since + committee.timing.commit * committee.patience(state.round)


def lock_until(state: State) -> float:
    """From when on the round has failed without a certificate."""
    committee = state.committee
    return commit_until(state) + committee.timing.lock * committee.patience(state.round)


def reveal_until(state: State) -> float:
    """From when on members of a certified set count as silent."""
    committee = state.committee
    round_ = state.certificates[-1].round if state.certificates else 0
    return state.certified_at + committee.timing.reveal * committee.patience(round_)


def waiting(state: State) -> bool:
    """Whether a certified set may still settle, so that nothing else may be locked."""
    return bool(state.certificates) and state.settled is None and state.now < reveal_until(state)


def next_inquiry(state: State) -> float:
    """When to ask next, after asking now."""
    committee = state.committee
    return state.now + committee.timing.inquire * committee.patience(max(state.round, 0))


def next_wake(state: State) -> float | None:
    """When a `Tick` is due, if any."""
    if state.finished or (state.result is None and state.settled is None):
        return None
    if state.settled is not None:
        return reveal_until(state)
    times = [state.inquire_at, commit_until(state), lock_until(state)]
    if state.certificates:
        times.append(reveal_until(state))
    return min((time for time in times if time > state.now), default=state.inquire_at)
