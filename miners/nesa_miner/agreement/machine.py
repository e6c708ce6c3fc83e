"""The agreement of one committee on one shard's result, as a pure function over events."""

from __future__ import annotations

from collections.abc import Iterable

from nesa_miner.agreement.actions import Action
from nesa_miner.agreement.events import Event
from nesa_miner.agreement.records import Record
from nesa_miner.agreement.state import State
from nesa_miner.agreement.terms import Committee

Step = tuple[State, tuple[Action, ...]]


def begin(committee: Committee) -> State:
    """The state before anything has happened; messages of others may arrive before `Started`."""
    raise NotImplementedError


def step(state: State, event: Event, now: float) -> Step:
    """The state after `event` and what to do, in order. `now` is in seconds and never goes back."""
    raise NotImplementedError


def next_wake(state: State) -> float | None:
    """When a `Tick` is due, if any."""
    raise NotImplementedError


def restore(committee: Committee, records: Iterable[Record]) -> State:
    """The state that a journal holds, records in their order; then `step` it with `Restarted`."""
    raise NotImplementedError
