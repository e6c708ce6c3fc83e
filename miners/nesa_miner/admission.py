"""Which duties may hold tensors now, so that many queries at once cost time and not the process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nesa_miner.duties import Compute, Duty, Fetch
from nesa_miner.jobs import JobKey
from nesa_miner.work import is_sealed

COPIES: Final = 6
"""How often the bytes of a shard's input and output are in memory while it is worked on: canonical
in the duty and on their way to the journal, and as float32 in the runtime."""


def admitted(duties: Iterable[Duty], room: int) -> frozenset[JobKey]:
    """The duties that may fetch, run and agree within `room` bytes.

    The oldest query goes whatever it needs: members that began different ones would otherwise wait
    for each other. Those that have begun stay, then come others, oldest first. What cannot begin
    yet, for want of its input or its key, takes no room.
    """
    ready = sorted((duty for duty in duties if _is_ready(duty)), key=lambda one: one.key)
    ahead = [duty for duty in ready if duty is ready[0] or _has_begun(duty)]
    found = {duty.key for duty in ahead}
    room -= sum(map(bytes_needed, ahead))
    for duty in ready:
        if duty.key in found:
            continue
        room -= bytes_needed(duty)
        if room < 0:
            break
        found.add(duty.key)
    return frozenset(found)


def bytes_needed(duty: Duty) -> int:
    """Bytes that a drawn duty holds until its query is over, all inputs of a prover counted."""
    assert duty.place is not None
    facts = duty.place.facts
    size = sum(edge.nbytes for edge in (*facts.input_edges, *facts.output_edges))
    return COPIES * size * len(duty.computations)


def _is_ready(duty: Duty) -> bool:
    has_key = duty.content_key is not None or not is_sealed(duty.query)
    return duty.place is not None and bool(duty.computations) and has_key


def _has_begun(duty: Duty) -> bool:
    is_busy = any(isinstance(action, Fetch | Compute) for action in duty.busy)
    return is_busy or any(one.agreement is not None for one in duty.computations)
