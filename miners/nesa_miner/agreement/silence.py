"""Who has said nothing in an agreement that does not come about."""

from __future__ import annotations

from typing import Final

from nesa_miner.agreement.deadlines import LONGEST_PAUSE, commit_until
from nesa_miner.agreement.state import State

HEARD_WITHIN: Final = 2 * LONGEST_PAUSE
"""Seconds in a round after which everybody who is there was asked twice and has answered."""


def silent(state: State, now: float) -> frozenset[int]:
    """Slots of members that have committed to nothing in this round or a later one, once they had
    the time to; `now` in seconds of the member's clock. Of what is settled nobody is missed.

    The clock of a round runs from when a quorum is in it. Without one nobody leaves the round, and
    whoever is there, or comes back, commits in it as soon as it is asked.
    """
    if state.result is None or state.settled is not None:
        return frozenset()
    if now < max(state.joined_at + HEARD_WITHIN, _round_lasts(state)):
        return frozenset()
    heard = zip(state.commits, state.ahead, strict=True)
    return frozenset(
        position
        for position, (here, ahead) in enumerate(heard)
        if here is None and ahead is None and position != state.committee.me
    )


def _round_lasts(state: State) -> float:
    """Until when members may commit; a round without a quorum has no end of its own."""
    return state.joined_at if state.gathered_at is None else commit_until(state)
