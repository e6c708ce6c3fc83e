"""What one member knows of its committee before it starts, and how long it waits for the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from nesa.protocol.commitments import ShardContext, quorum
from nesa.protocol.ids import Address, Digest

Sign = Callable[[bytes], tuple[bytes, bytes]]
"""Signs 32 bytes with the member's on-chain signer: `(r, vs)`, the same every time."""

DigestOf = Callable[[tuple[bytes, ...]], Digest]
"""Output digest of a shard's output tensors, blinded when the query is sealed."""

GROWTH: Final = 1.5
MOST_PATIENCE: Final = 16.0
MOST_SLOWNESS: Final = 8.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that each part of a round may take; `commit` has to exceed the message delay.

    They count from when a quorum has committed. With a dead member a round takes `commit`. Every
    round that fails makes all of them half as long again, up to sixteen times, so that a slow
    network is met in the end; see `slowness` for one that is seen to be slow at once.
    """

    commit: float = 0.6
    lock: float = 0.6
    reveal: float = 0.6
    inquire: float = 0.3


@dataclass(frozen=True, slots=True)
class Committee:
    """One shard's committee of one attempt as its member at position `me` sees it.

    `members` are the signers by slot, `spares` the slots whose first member was found absent.
    `sign` and `digest_of` are pure functions.
    """

    context: ShardContext
    members: tuple[Address, ...]
    me: int
    sign: Sign = field(repr=False, compare=False)
    digest_of: DigestOf = field(repr=False, compare=False)
    timing: Timing = Timing()
    spares: frozenset[int] = frozenset()

    @property
    def size(self) -> int:
        """Replicas, r."""
        return len(self.members)

    @property
    def quorum(self) -> int:
        """Equal attestations that settle the shard, q."""
        return quorum(self.size)

    @property
    def others(self) -> tuple[int, ...]:
        """Every position but this member's."""
        return tuple(position for position in range(self.size) if position != self.me)

    def proposer(self, round_: int) -> int:
        """Whose turn it is to propose a set."""
        return round_ % self.size

    def patience(self, round_: int) -> float:
        """How much longer than at first everything may take in this round."""
        return float(min(GROWTH ** min(round_, 99), MOST_PATIENCE))
