"""Until when a member waits for what, in seconds of the caller's clock."""

from __future__ import annotations

from math import inf
from typing import Final

from nesa_miner.agreement.state import State
from nesa_miner.agreement.terms import MOST_SLOWNESS

LONGEST_PAUSE: Final = 5.0
"""Seconds after which a member asks again in any case."""


def _patience(state: State, round_: int) -> float:
    """The longer of what failed rounds and what slow members ask for."""
    return max(state.committee.patience(round_), state.slowness)


def slowness(state: State) -> float:
    """How often the time for commits went by until a quorum was in the round; 1 at least.

    Members whose machines are busy come late to every step. Who has to wait for them for the first
    gives them as much time for the others, where shorter rounds would only fail and cost work.
    """
    waited = (state.now - state.joined_at) / state.committee.timing.commit
    return max(state.slowness, min(waited, MOST_SLOWNESS))


def commit_until(state: State) -> float:
    """From when on a set of a quorum is enough."""
    committee = state.committee
    since = inf if state.gathered_at is None else state.gathered_at
    return since + committee.timing.commit * _patience(state, state.round)


def lock_until(state: State) -> float:
    """From when on the round has failed without a certificate."""
    committee = state.committee
    return commit_until(state) + committee.timing.lock * _patience(state, state.round)


def reveal_until(state: State) -> float:
    """From when on members of a certified set count as silent."""
    committee = state.committee
    round_ = state.certificates[-1].round if state.certificates else 0
    return state.certified_at + committee.timing.reveal * _patience(state, round_)


def waiting(state: State) -> bool:
    """Whether a certified set may still settle, so that nothing else may be locked."""
    return bool(state.certificates) and state.settled is None and state.now < reveal_until(state)


def next_inquiry(state: State) -> float:
    """When to ask next, after asking now: later each time, for the sake of those who are busy."""
    pause = state.committee.timing.inquire * _patience(state, max(state.round, 0))
    return state.now + min(pause * 2.0 ** min(state.inquiries, 9), LONGEST_PAUSE)


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
