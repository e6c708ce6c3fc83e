"""Leaves of Merkle trees, opened several at once.

The nodes that are missing between opened leaves and the root travel level by level from the bottom,
each level from the left. The trees are those of `nesa.protocol.digests`; the same as
`contracts/lib/opened_leaves.vy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nesa.protocol.digests import LEAF_BYTES, inner_hash, leaf_hash
from nesa.protocol.errors import InvalidOpening
from nesa.protocol.ids import Digest


class Tree:
    """A Merkle tree that keeps its levels: leaf hashes at the bottom, at least one."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise ValueError("a Merkle tree needs at least one leaf")
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_above(self._levels[-1]))

    @classmethod
    def of_bytes(cls, data: bytes) -> Tree:
        """The tree over `data` in 256-byte leaves; the last leaf may be shorter."""
        return cls([leaf_hash(leaf_bytes(data, place)) for place in range(leaf_count(len(data)))])

    @property
    def root(self) -> Digest:
        """The root."""
        return Digest(self._levels[-1][0])

    @property
    def width(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    @property
    def height(self) -> int:
        """Levels above the leaves."""
        return len(self._levels) - 1

    def nodes(self, level: int, places: range) -> tuple[bytes, ...]:
        """Nodes side by side, `level` levels above the leaves."""
        return tuple(self._levels[level][places.start : places.stop])

    def siblings(self, places: Sequence[int]) -> tuple[bytes, ...]:
        """The nodes that lead from leaves at ascending `places` to the root."""
        found, level_places = [], list(places)
        for level in self._levels[:-1]:
            held = set(level_places)
            beside = [place ^ 1 for place in level_places]
            found += [level[place] for place in beside if place < len(level) and place not in held]
            level_places = sorted({place // 2 for place in level_places})
        return tuple(found)


def sibling_count(places: Sequence[int], width: int) -> int:
    """How many nodes lead from leaves at ascending `places` of a tree of `width` to the root."""
    count, held = 0, set(places)
    while width > 1:
        beside = (place ^ 1 for place in held)
        count += sum(place < width and place not in held for place in beside)
        held, width = {place // 2 for place in held}, (width + 1) // 2
    return count


def leaf_count(size: int) -> int:
    """Leaves of `size` bytes."""
    return -(-size // LEAF_BYTES)


def leaf_bytes(data: bytes, place: int) -> bytes:
    """The bytes of leaf `place`."""
    return data[place * LEAF_BYTES : (place + 1) * LEAF_BYTES]


def opened_bytes(leaves: Sequence[int], data: bytes, size: int) -> dict[int, bytes]:
    """The bytes of each opened leaf of a tree over `size` bytes.

    Raises:
        InvalidOpening: leaves that do not ascend or exist, or too few or too many bytes.
    """
    width, end, found = leaf_count(size), 0, {}
    for place, before in zip(leaves, (-1, *leaves), strict=False):
        if not before < place < width:
            raise InvalidOpening(f"leaf {place} does not ascend below {width}")
        length = min(LEAF_BYTES, size - place * LEAF_BYTES)
        found[place] = data[end : end + length]
        end += length
    if end != len(data):
        raise InvalidOpening(f"{len(data)} bytes where the leaves hold {end}")
    return found


def root_of(
    places: Sequence[int], nodes: Sequence[bytes], width: int, siblings: Sequence[bytes]
) -> Digest:
    """Root of a tree of `width` leaves from the hashes of those at ascending `places`.

    Raises:
        InvalidOpening: no leaves, or too few or too many siblings.
    """
    if not places or places[-1] >= width:
        raise InvalidOpening("no leaves of the tree are opened")
    level, missing = dict(zip(places, nodes, strict=True)), iter(siblings)
    while width > 1:
        level = dict(_joined(level, width, missing))
        width = (width + 1) // 2
    if next(missing, None) is not None:
        raise InvalidOpening("more nodes than lead to the root")
    return Digest(level[0])


def _above(level: list[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    above: list[bytes] = [inner_hash(left, right) for left, right in pairs]
    return above + level[len(level) - len(level) % 2 :]


def _joined(
    level: dict[int, bytes], width: int, missing: Iterator[bytes]
) -> Iterator[tuple[int, bytes]]:
    for place, node in level.items():
        if place % 2 == 1:
            if place - 1 not in level:
                yield place // 2, inner_hash(_next(missing), node)
        elif place + 1 == width:
            yield place // 2, node
        else:
            right = level[place + 1] if place + 1 in level else _next(missing)
            yield place // 2, inner_hash(node, right)


def _next(missing: Iterator[bytes]) -> bytes:
    node = next(missing, None)
    if node is None:
        raise InvalidOpening("a node that leads to the root is missing")
    return node
