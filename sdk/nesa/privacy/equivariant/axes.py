"""Which axes of a network are one and the same, worked out by union and find.

Every axis of every array is a product of *atoms* in C order. Reading a layer ties atoms together,
splits them (a Reshape of 384 places into 12 heads of 32), cuts them into segments (a Slice), or
puts conditions on them. Where two atoms meet in a sum of products, one is transformed by the dual
`Q^-T` of the other: a reference to an atom says whether it means the atom or its dual.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, product
from typing import Final, TypeAlias

from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.layouts import Joined, Layout, Leaf
from nesa.protocol.errors import InvalidModel

MOST_BLOCKS: Final = 4096
"""An array of more choices of segments stays as it is."""

MOST_TRANSFORMS: Final = 1024
"""Most transforms of one atom, one for each place of those that it depends on."""


@dataclass(eq=False, slots=True)
class Atom:
    """A part of an axis. It is linked to another atom (or its dual), or made of others, or free."""

    size: int
    number: int
    conditions: Conditions
    link: Reference | None = None
    parts: Axis = ()
    segments: tuple[Axis, ...] = ()


Reference: TypeAlias = tuple[Atom, bool]
"""An atom; true for its dual."""

Axis: TypeAlias = tuple[Reference, ...]
"""Atoms whose product in C order is one axis; empty for an axis of size 1."""

Axes: TypeAlias = tuple[Axis, ...]


@dataclass(slots=True)
class AxisTies:
    """All atoms of one network. `least` are the conditions that every atom has from the start."""

    least: Conditions = Conditions.NONE
    _atoms: list[Atom] = field(default_factory=list)
    _arrays: list[Axis] = field(default_factory=list)

    def new(self, size: int, conditions: Conditions = Conditions.NONE) -> Axis:
        """An axis of which nothing is known."""
        return ((self._atom(size, conditions), False),) if size > 1 else ()

    def fixed(self, size: int) -> Axis:
        """An axis whose places stay where they are."""
        return self.new(size, Conditions.FIXED)

    def array(self, axes: Sequence[Axis]) -> None:
        """Say that an array has these axes: a transform of one may depend on the place along
        another only if they stand next to each other in every array."""
        self._arrays.append(tuple(reference for axis in axes for reference in axis))

    def narrow(self, axis: Axis, conditions: Conditions) -> None:
        """Put more conditions on all of an axis."""
        flat = self.flat(axis)
        if Conditions.PLANES in conditions and (len(flat) > 1 or any(a.segments for a, _ in flat)):
            conditions |= Conditions.FIXED
        for atom, _ in flat:
            for segment in atom.segments:
                self.narrow(segment, conditions)
            atom.conditions |= conditions
            if Conditions.FIXED in atom.conditions:
                atom.segments = ()

    def freeze(self, *axes: Axis) -> None:
        """Leave every place of the axes where it is."""
        for axis in axes:
            self.narrow(axis, Conditions.FIXED)

    def flat(self, axis: Axis) -> Axis:
        """The axis in atoms that are linked to no other and no product."""
        found: list[Reference] = []
        for reference in axis:
            atom, dual = _root(reference)
            parts = tuple((part, inner != dual) for part, inner in atom.parts)
            found.extend(self.flat(parts) if parts else [(atom, dual)])
        return tuple(found)

    def tie(self, one: Axis, other: Axis) -> None:
        """Make two axes the same.

        Raises:
            InvalidModel: they have different sizes.
        """
        if size_of(one) != size_of(other):
            raise InvalidModel(f"axes of {size_of(one)} and {size_of(other)} places meet")
        left, right = list(self.flat(one)), list(self.flat(other))
        while left and right:
            # What was tied or split a moment ago may come again.
            left[:1], right[:1] = self.flat(tuple(left[:1])), self.flat(tuple(right[:1]))
            first, second = left[0][0].size, right[0][0].size
            if first == second:
                self._merge(left.pop(0), right.pop(0))
            elif first > second:
                self._break(left, right)
            else:
                self._break(right, left)

    def dual(self, axis: Axis) -> Axis:
        """The same axis under the dual transforms."""
        return tuple((atom, not dual) for atom, dual in axis)

    def regrouped(self, axes: Sequence[Axis], shape: Sequence[int]) -> Axes:
        """The axes of a Reshape of an array with `axes`."""
        made = tuple(map(self.new, shape))
        self.tie(sum(axes, ()), sum(made, ()))
        return made

    def joined(self, axes: Sequence[Axis]) -> Axis:
        """The axis of several behind each other."""
        size = sum(map(size_of, axes))
        axis = self.new(size)
        # A segment of one place has no atom of its own.
        axis[0][0].segments = tuple(one or self._single() for one in axes)
        return axis

    def sliced(self, axis: Axis, start: int, stop: int) -> Axis:
        """The places `start <= i < stop` of an axis; one of several atoms stays as it is."""
        flat = self.flat(axis)
        size = size_of(flat)
        if (start, stop) == (0, size):
            return axis
        if len(flat) != 1 or not (self._cut(flat[0], start) and self._cut(flat[0], stop)):
            self.freeze(axis)
            return self.fixed(stop - start)
        segments = self._segments(flat[0])
        places = accumulate(map(size_of, segments), initial=0)
        within = [
            one for place, one in zip(places, segments, strict=False) if start <= place < stop
        ]
        if stop - start == 1:
            return ()
        return within[0] if len(within) == 1 else self.joined(within)

    def meet(self, axes: Sequence[Axis]) -> None:
        """Say that these axes are what two arrays have in common. Beside them one array may have an
        axis that the other has too, but at a place of its own, so that nothing depends on that."""
        self.array(axes)

    def mixed(self, around: Sequence[Axis], within: Axis) -> None:
        """Say that places along `within` are mixed, at each place of the axes around by themselves:
        where those go cannot depend on a place that is mixed with others, but it may the other way
        round."""
        self.array(around)
        self.array((*around, within))

    def layouts(self) -> Layouts:
        """What all of it comes to, once every layer has been read."""
        for axis in self._arrays:
            if _block_count(self, axis) > MOST_BLOCKS:
                self.freeze(axis)
        return Layouts(self, self._arrays)

    def _atom(self, size: int, conditions: Conditions) -> Atom:
        if size == 1:
            conditions |= Conditions.FIXED  # it has no place to go, and what has no axis no scale
        atom = Atom(size, len(self._atoms), conditions | self.least)
        self._atoms.append(atom)
        return atom

    def _single(self) -> Axis:
        return ((self._atom(1, Conditions.NONE), False),)

    def _break(self, longer: list[Reference], shorter: list[Reference]) -> None:
        """Split the first atom of `longer` where the first of `shorter` ends, or freeze both up to
        where they end together."""
        (atom, dual), size = longer[0], shorter[0][0].size
        if atom.size % size == 0 and _can_split(atom):
            rest = self._atom(atom.size // size, atom.conditions)
            atom.parts = ((self._atom(size, atom.conditions), False), (rest, False))
            longer[:1] = [(part, dual) for part, _ in atom.parts]
            return
        taken, reached = [longer.pop(0), shorter.pop(0)], [atom.size, size]
        sides = (longer, shorter)
        while reached[0] != reached[1]:
            side = 0 if reached[0] < reached[1] else 1
            taken.append(sides[side].pop(0))
            reached[side] *= taken[-1][0].size
        self.freeze(tuple(taken))

    def _merge(self, one: Reference, other: Reference) -> None:
        (atom, dual), (second, second_dual) = _root(one), _root(other)
        crossed = dual != second_dual
        if atom is second:
            if crossed:
                self.narrow(((atom, False),), Conditions.ORTHOGONAL)
            return
        if atom.segments and second.segments:
            self._merge_segments((atom, dual), (second, second_dual))
            atom, second = _root((atom, False))[0], _root((second, False))[0]
        kept, linked = (atom, second) if atom.segments else (second, atom)
        linked.link = kept, crossed
        self.narrow(((kept, False),), linked.conditions)

    def _merge_segments(self, one: Reference, other: Reference) -> None:
        """Cut both where the other is cut, and tie the segments; freeze them where that fails.

        A cut of one may cut the other as well, where parts of both are the same.
        """
        while missing := self._boundaries(one) ^ self._boundaries(other):
            for place in sorted(missing):
                if not (self._cut(one, place) and self._cut(other, place)):
                    self.freeze((one, other))
                    return
        for left, right in list(zip(self._segments(one), self._segments(other), strict=True)):
            self.tie(left, right)

    def _boundaries(self, reference: Reference) -> set[int]:
        return set(accumulate(map(size_of, self._segments(reference))))

    def _segments(self, reference: Reference) -> tuple[Axis, ...]:
        """The segments of an atom, those that are cut themselves in their place."""
        atom, dual = _root(reference)
        found: list[Axis] = []
        for segment in atom.segments:
            axis = tuple((part, inner != dual) for part, inner in segment)
            flat = self.flat(axis)
            inner = len(flat) == 1 and flat[0][0].segments
            found.extend(self._segments(flat[0]) if inner else [axis])
        return tuple(found) if atom.segments else (((atom, dual),),)

    def _cut(self, reference: Reference, place: int) -> bool:
        """Let an atom have a boundary at `place`; false where it cannot."""
        atom, _ = _root(reference)
        if place in (0, atom.size):
            return True
        if Conditions.FIXED in atom.conditions or not (atom.segments or _can_split(atom)):
            return False
        if not atom.segments:
            atom.segments = tuple(
                ((self._atom(size, atom.conditions), False),) for size in (place, atom.size - place)
            )
            return True
        for segment in atom.segments:
            size = size_of(segment)
            if place < size:
                flat = self.flat(segment)
                return len(flat) == 1 and self._cut(flat[0], place)
            place -= size
            if place == 0:
                return True
        return False


class Layouts:
    """The final atoms, each with a label and with those it may depend on, parents first.

    An atom may depend on another that stands next to it in every array: those have at least as
    many arrays, so that they come first when atoms are ordered by how many arrays they are in.
    """

    def __init__(self, ties: AxisTies, arrays: Sequence[Axis]) -> None:
        self._ties = ties
        blocks = [block for axis in arrays for block in _blocks(ties, axis)]
        beside = _companions(blocks)
        counts = {atom: sum(atom in block for block in blocks) for atom in beside}
        order = sorted(beside, key=lambda atom: (-counts[atom], atom.number))
        self._labels = {atom: label for label, atom in enumerate(order)}
        self._parents = {
            atom: tuple(
                (self._labels[other], other.size) for other in self._guiding(atom, beside[atom])
            )
            for atom in order
        }

    def _guiding(self, atom: Atom, beside: set[Atom]) -> list[Atom]:
        """Those that a transform depends on, as many as it has room for."""
        found: list[Atom] = []
        for other in sorted(beside, key=self._labels.__getitem__):
            count = math.prod(one.size for one in (*found, other))
            before = self._labels[other] < self._labels[atom]
            if before and _guides(other, atom) and count <= MOST_TRANSFORMS:
                found.append(other)
        return found

    def of(self, axes: Sequence[Axis]) -> Layout:
        """How an array with these axes is laid out."""
        return self._layout(sum(axes, ()))

    def leaves(self) -> tuple[Leaf, ...]:
        """Every final atom once."""
        return tuple(self._leaf(atom, False) for atom in self._labels)

    def _layout(self, axis: Axis) -> Layout:
        return tuple(
            Joined(segments=tuple(map(self._layout, _inner(atom, dual))))
            if atom.segments
            else self._leaf(atom, dual)
            for atom, dual in self._ties.flat(axis)
        )

    def _leaf(self, atom: Atom, dual: bool) -> Leaf:
        label, parents = self._labels.get(atom, -1), self._parents.get(atom, ())
        # What no array holds is read by nobody.
        conditions = atom.conditions if label >= 0 else Conditions.FIXED
        return Leaf(
            label=label, size=atom.size, conditions=int(conditions), parents=parents, dual=dual
        )


def size_of(axis: Axis) -> int:
    """Places along an axis."""
    return math.prod(atom.size for atom, _ in axis)


def _can_split(atom: Atom) -> bool:
    """Whether an atom may have parts: the planes of a rotation lie across any two halves."""
    return not atom.segments and Conditions.PLANES not in atom.conditions


def _guides(parent: Atom, atom: Atom) -> bool:
    """Whether the transform of an atom may be another one for every place of a parent."""
    moves = not (parent.conditions | atom.conditions) & Conditions.FIXED
    return moves and PERMUTATION in parent.conditions


def _root(reference: Reference) -> Reference:
    atom, dual = reference
    while atom.link is not None:
        atom, crossed = atom.link
        dual = dual != crossed
    return atom, dual


def _inner(atom: Atom, dual: bool) -> list[Axis]:
    return [tuple((part, inner != dual) for part, inner in axis) for axis in atom.segments]


def _block_count(ties: AxisTies, axis: Axis) -> int:
    return math.prod(
        sum(_block_count(ties, segment) for segment in atom.segments) or 1
        for atom, _ in ties.flat(axis)
    )


def _blocks(ties: AxisTies, axis: Axis) -> Iterator[list[Atom]]:
    """The atoms of an array, one list for each choice of segments."""
    choices = []
    for atom, dual in ties.flat(axis):
        if atom.segments:
            inner = _inner(atom, dual)
            choices.append([block for segment in inner for block in _blocks(ties, segment)])
        else:
            choices.append([[atom]])
    for chosen in product(*choices):
        yield [atom for block in chosen for atom in block]


def _companions(blocks: Sequence[Sequence[Atom]]) -> dict[Atom, set[Atom]]:
    """For each atom those that stand next to it, each once, in every block that it is in."""
    beside: dict[Atom, set[Atom]] = {}
    for block in blocks:
        once = {atom for atom in block if block.count(atom) == 1}
        for atom in dict.fromkeys(block):
            others = once - {atom} if atom in once else set()
            beside[atom] = beside[atom] & others if atom in beside else others
    return beside
