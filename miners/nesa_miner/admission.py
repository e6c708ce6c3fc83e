"""Which duties may hold tensors now, so that many queries at once cost time and not the process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nesa_miner.duties import Compute, Duty, Fetch
from nesa_miner.jobs import JobKey

COPIES: Final = 6
"""How often the bytes of a shard's input and output are in memory while it is worked on: canonical
in the duty and on their way to the journal, and as float32 in the runtime."""


def admitted(duties: Iterable[Duty], room: int) -> frozenset[JobKey]:
    """The duties that may fetch, run and agree within `room` bytes.

    Those that have begun stay; then come the oldest queries, so that the members of a committee
    begin the same ones. The first gets its turn even if it needs more than there is.
    """
    found: set[JobKey] = set()
    for duty in sorted(duties, key=lambda one: (not _has_begun(one), one.key)):
        if duty.place is None:
            continue
        room -= bytes_needed(duty)
        if found and room < 0 and not _has_begun(duty):
            break
        found.add(duty.key)
    return frozenset(found)


def bytes_needed(duty: Duty) -> int:
    """Bytes that a drawn duty holds until its query is over, all inputs of a prover counted."""
    assert duty.place is not None
    facts = duty.place.facts
    size = sum(edge.nbytes for edge in (*facts.input_edges, *facts.output_edges))
    return COPIES * size * max(len(duty.computations), 1)


def _has_begun(duty: Duty) -> bool:
    is_busy = any(isinstance(action, Fetch | Compute) for action in duty.busy)
    return is_busy or any(one.agreement is not None for one in duty.computations)
