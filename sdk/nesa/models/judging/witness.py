"""Makes questions and openings from a table and all of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, Self

from nesa.models.graph import Integers, Opcode, Parameter, ParameterKind, Row, Table
from nesa.models.judging.addresses import Address, address, columns_of
from nesa.models.judging.questions import MAX_LEAVES, MAX_NODES, Opening, Question
from nesa.models.judging.undefined import Undefined, bounded, first_undefined
from nesa.models.judging.verdicts import extent_of
from nesa.models.opcodes import operator
from nesa.models.opcodes.operands import LEAF_OPERANDS, Fold, Source
from nesa.models.reference import evaluate
from nesa.protocol.digests import bytes_root, tensor_digest
from nesa.protocol.ids import Digest
from nesa.protocol.openings import Tree, leaf_bytes

SINGLE_OPERANDS: Final = 24
"""Operands that a judge reads one by one, in a part that stays below 200,000 gas."""


class Witness:
    """Somebody who ran a table and can open every value of it.

    `values` are all values of a table, or of one shard, by their numbers. Digests and trees are
    kept, so that a second opening of a tensor costs little. `undefined` is the first element that
    no integer is right for, None where all values are in their ranges.
    """

    def __init__(
        self, table: Table, values: Mapping[int, Integers], undefined: Undefined | None = None
    ) -> None:
        self.table = table
        self.values = values
        self.undefined = undefined
        self._bytes: dict[int, bytes] = {}
        self._digests: dict[int, Digest] = {}
        self._trees: dict[int, Tree] = {}
        self._weights: dict[int, Tree] = {}

    @classmethod
    def of_shard(cls, table: Table, number: int, tensors: Sequence[bytes]) -> Self:
        """Who ran one shard of a table, by its definition, on canonical bytes.

        An input value out of its range counts as the nearest one within, until somebody asks for
        its bytes: what does not read it is what the table gives, the first that does is
        `undefined`.

        Raises:
            InvalidTensor: an input that does not have the length of its edge.
        """
        shard = table.shards[number]
        edges = table.types_of(shard.inputs)
        given = [bounded(edge, data) for edge, data in zip(edges, tensors, strict=True)]
        values = evaluate(table, shard, [tensor for tensor, _ in given])
        strays = {k: found for k, (_, found) in zip(shard.inputs, given, strict=True)}
        witness = cls(table, values, first_undefined(table, shard, strays))
        for value, data in zip(shard.inputs, tensors, strict=True):
            witness.keep(value, data)
        return witness

    def question(self, index: int, element: int) -> Question:
        """Asks for one element of the output of row `index`."""
        return Question(
            self.rows.root,
            self.rows.width,
            self.table.encoded_row(index),
            self.rows.siblings([index]),
            element,
            tuple(self.digest(value) for value in self.table.rows[index].inputs),
        )

    def digest(self, value: int) -> Digest:
        """The tensor digest that this witness commits to."""
        if value not in self._digests:
            edge = self.table.type_of(value)
            self._digests[value] = tensor_digest(edge, self.encoded(value))
        return self._digests[value]

    def encoded(self, value: int) -> bytes:
        """Canonical bytes of a value."""
        if value not in self._bytes:
            self._bytes[value] = self.table.type_of(value).encode(self.values[value])
        return self._bytes[value]

    def keep(self, value: int, data: bytes) -> None:
        """Commits to these canonical bytes of a value, which may break its range."""
        self._forget(value)
        self._bytes[value] = data

    def changed(self, values: Mapping[int, Integers]) -> Witness:
        """Somebody who has other values in the place of some."""
        other = Witness(self.table, {**self.values, **values}, self.undefined)
        other._bytes, other._digests = dict(self._bytes), dict(self._digests)
        other._trees, other._weights = dict(self._trees), dict(self._weights)
        for value in values:
            other._forget(value)
        return other

    def tree(self, value: int) -> Tree:
        """The tree over the canonical bytes of a value."""
        if value not in self._trees:
            self._trees[value] = Tree.of_bytes(self.encoded(value))
        return self._trees[value]

    def extent(self, index: int) -> int:
        """How many operands of an element of row `index` can be cut into parts."""
        return extent_of(self.table.rows[index])[1]

    def openings(self, index: int, element: int, first: int, stop: int) -> tuple[Opening, ...]:
        """What opens operands `first <= k < stop` of an element; a whole one where it has no parts.

        Raises:
            InvalidOpening: no such operands, or more than 256.
        """
        found: list[Opening] = []
        chosen: tuple[int, ...] = ()
        row = self.table.rows[index]
        types = self.table.types_of(row.inputs)
        for source, column in columns_of(row, types, element, first, stop):
            place = address(row, source, column, chosen)
            if not isinstance(source, ParameterKind):
                chosen = chosen or self._chosen(row.inputs[source], place)
            found.append(self._open(row, place))
        return tuple(found)

    def takes(self, index: int, element: int, first: int, stop: int) -> bool:
        """Whether a judge takes operands `first <= k < stop` at once, and cheaply."""
        return stop - first <= self._most(index) and self._fits(index, element, first, stop)

    def parts(self, index: int, element: int) -> list[tuple[int, int]]:
        """Cuts the operands of an element into parts that a judge takes cheaply: [first, stop)."""
        count, first, found = self.extent(index), 0, []
        while first < count:
            size = min(self._most(index), count - first)
            while not self.takes(index, element, first, first + size):
                size = (size + 1) // 2
            found.append((first, first + size))
            first += size
        return found

    def worth(self, index: int, element: int, first: int, stop: int) -> int:
        """What operands `first <= k < stop` of an element make, the element when they are all.

        Raises:
            InvalidOpening: no such operands.
        """
        fold, _ = extent_of(self.table.rows[index])
        starts = range(first, stop, LEAF_OPERANDS)
        ends = (min(start + LEAF_OPERANDS, stop) for start in starts)
        found = [
            self._worth(index, element, start, end) for start, end in zip(starts, ends, strict=True)
        ]
        return max(found) if fold is Fold.LARGEST else sum(found)

    def open_places(self, value: int, places: Sequence[int]) -> Opening:
        """Opens several elements of a value."""
        wanted = Address(0, 0, tuple(places))
        itemsize = self.table.type_of(value).dtype.itemsize
        return _opened(self.tree(value), self.encoded(value), wanted.leaves(itemsize))

    @cached_property
    def rows(self) -> Tree:
        """The tree of the table, whose root is that of the operators."""
        return Tree(self.table.leaves)

    def _forget(self, value: int) -> None:
        for kept in (self._bytes, self._digests, self._trees):
            kept.pop(value, None)

    def _most(self, index: int) -> int:
        row = self.table.rows[index]
        in_lanes = row.opcode is Opcode.LINEAR and self._itemsize(row, 0) == 1
        return LEAF_OPERANDS if in_lanes else SINGLE_OPERANDS

    def _worth(self, index: int, element: int, first: int, stop: int) -> int:
        row = self.table.rows[index]
        types = self.table.types_of(row.inputs)
        columns: list[tuple[int, ...]] = []
        for source, column in columns_of(row, types, element, first, stop):
            chosen = columns[0] if columns else ()
            place = address(row, source, column, chosen) if column else Address(source, 0, ())
            columns.append(self._read(row, place))
        return operator(row.opcode).judge(row, columns)

    def _read(self, row: Row, place: Address) -> tuple[int, ...]:
        if isinstance(place.source, ParameterKind):
            held = _parameter(row, place.source).values
            flat = held[place.channel] if place.source is ParameterKind.WEIGHTS else held
        else:
            flat = self.values[row.inputs[place.source]]
        numbers = flat.reshape(-1)
        return tuple(int(numbers[at]) if at >= 0 else 0 for at in place.places)

    def _fits(self, index: int, element: int, first: int, stop: int) -> bool:
        if stop - first == 1:
            return True
        row = self.table.rows[index]
        types = self.table.types_of(row.inputs)
        return all(
            self._is_short(row, address(row, source, column, ()))
            for source, column in columns_of(row, types, element, first, stop)
            if column
        )

    def _is_short(self, row: Row, place: Address) -> bool:
        leaves = place.leaves(self._itemsize(row, place.source))
        if isinstance(place.source, ParameterKind):
            return len(leaves) <= MAX_LEAVES
        nodes = self.tree(row.inputs[place.source]).siblings(leaves)
        return len(leaves) <= MAX_LEAVES and len(nodes) <= MAX_NODES

    def _itemsize(self, row: Row, source: Source) -> int:
        if isinstance(source, ParameterKind):
            return source.dtype.itemsize
        return self.table.type_of(row.inputs[source]).dtype.itemsize

    def _chosen(self, value: int, place: Address) -> tuple[int, ...]:
        flat = self.values[value].reshape(-1)
        return tuple(int(flat[at]) if at >= 0 else 0 for at in place.places)

    def _open(self, row: Row, place: Address) -> Opening:
        if not place.places:
            return Opening()
        leaves = place.leaves(self._itemsize(row, place.source))
        if not isinstance(place.source, ParameterKind):
            value = row.inputs[place.source]
            return _opened(self.tree(value), self.encoded(value), leaves)
        parameter = _parameter(row, place.source)
        if place.source is not ParameterKind.WEIGHTS:
            return _opened(Tree.of_bytes(parameter.data), parameter.data, leaves)
        data = _channels(parameter)[place.channel]
        opening = _opened(Tree.of_bytes(data), data, leaves)
        path = self._weight_tree(parameter).siblings([place.channel])
        return Opening(opening.leaves, opening.data, opening.siblings, path)

    def _weight_tree(self, parameter: Parameter) -> Tree:
        if id(parameter) not in self._weights:
            roots = [bytes_root(data) for data in _channels(parameter)]
            self._weights[id(parameter)] = Tree(roots)
        return self._weights[id(parameter)]


def _opened(tree: Tree, data: bytes, leaves: tuple[int, ...]) -> Opening:
    if not leaves:
        return Opening()
    held = b"".join(leaf_bytes(data, leaf) for leaf in leaves)
    return Opening(leaves, held, tree.siblings(leaves))


def _parameter(row: Row, kind: ParameterKind) -> Parameter:
    return next(parameter for parameter in row.parameters if parameter.kind is kind)


def _channels(parameter: Parameter) -> list[bytes]:
    size = parameter.values.shape[1]
    data = parameter.data
    return [data[start : start + size] for start in range(0, len(data), size)]
