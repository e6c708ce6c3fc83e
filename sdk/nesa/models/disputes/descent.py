"""Going down a Merkle tree, up to 16 nodes at a time.

One side knows the tree and shows the nodes below the one that was asked for; the other chooses
among them. Where a node lies, and how many lie below it, follows from the width of the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nesa.protocol.digests import merkle_root
from nesa.protocol.errors import IllegalMove
from nesa.protocol.ids import Digest

STEP_LEVELS: Final = 4
"""Levels of one step, so that it shows 16 nodes at most."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a tree of `width` leaves, `level` levels above them, at `place` from the left."""

    width: int
    level: int
    place: int
    digest: bytes

    @property
    def leaves(self) -> range:
        """The leaves below the node."""
        first = self.place << self.level
        return range(first, min(first + (1 << self.level), self.width))


def height_of(width: int) -> int:
    """Levels of a tree above its `width` leaves."""
    return (width - 1).bit_length()


def below(width: int, level: int, place: int) -> tuple[int, range]:
    """Level and places of the nodes that a step shows below a node; a leaf shows itself."""
    lower = max(level - STEP_LEVELS, 0)
    first, size = place << (level - lower), 1 << (level - lower)
    return lower, range(first, min(first + size, -(-width >> lower)))


def below_top(width: int, digests: Sequence[bytes]) -> tuple[Digest, tuple[Node, ...]]:
    """The root of a tree of `width` leaves and the nodes that the first step shows.

    Raises:
        IllegalMove: another number of nodes than lies there.
    """
    level, places = below(width, height_of(width), 0)
    return merkle_root(digests), _nodes(width, level, places, digests)


def below_node(node: Node, digests: Sequence[bytes]) -> tuple[Node, ...]:
    """The nodes that a step shows below `node`.

    Raises:
        IllegalMove: another number of nodes than lies there, or they lead to another one.
    """
    level, places = below(node.width, node.level, node.place)
    nodes = _nodes(node.width, level, places, digests)
    if merkle_root(digests) != node.digest:
        raise IllegalMove("the nodes shown lead to another one than was asked for")
    return nodes


def _nodes(width: int, level: int, places: range, digests: Sequence[bytes]) -> tuple[Node, ...]:
    if len(digests) != len(places):
        raise IllegalMove(f"{len(digests)} nodes are shown where {len(places)} lie")
    pairs = zip(places, digests, strict=True)
    return tuple(Node(width, level, place, digest) for place, digest in pairs)
