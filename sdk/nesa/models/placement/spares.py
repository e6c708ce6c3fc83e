"""Who stands by for which shard: a matching of the miners that are left over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.placement.costs import Seconds
from nesa.protocol.errors import ExhaustedResource


def choose_spares(
    seconds: Seconds,
    parts: Sequence[tuple[int, int]],
    taken: Sequence[Sequence[int]],
    spares: int,
) -> list[tuple[int, ...]]:
    """For each part `spares` miners that can compute it and hold nothing else, fast ones first.

    `seconds` are those of `part_seconds`. Augmenting paths find spares for all parts whenever
    there are any; which miner stands by for which is chosen greedily.

    Raises:
        ExhaustedResource: the miners left over lack the memory.
    """
    busy = {member for group in taken for member in group}
    free = [miner for miner in range(len(seconds)) if miner not in busy]
    wanted = [
        sorted(
            (miner for miner in free if seconds[miner, first, end] < np.inf),
            key=lambda miner: float(seconds[miner, first, end]),
        )
        for first, end in parts
    ]
    holder: dict[int, int] = {}
    for _ in range(spares):
        for part in range(len(parts)):
            if not _found(part, wanted, holder, set()):
                raise ExhaustedResource(
                    f"no miner with memory for shard {part} is left as its spare; "
                    "add miners or memory, or ask for fewer spares"
                )
    return [
        tuple(one for one in line if holder.get(one) == part) for part, line in enumerate(wanted)
    ]


def _found(
    part: int, wanted: Sequence[Sequence[int]], holder: dict[int, int], tried: set[int]
) -> bool:
    """Whether `part` gets one more spare; another part may have to change one of its own."""
    for miner in wanted[part]:
        if miner in tried:
            continue
        tried.add(miner)
        if miner not in holder or _found(holder[miner], wanted, holder, tried):
            holder[miner] = part
            return True
    return False
