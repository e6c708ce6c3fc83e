"""The operator table `int-v1`: what a model is, before anything is made from it.

A table is a list of rows in the order of evaluation. Values are numbered: first the inputs of the
model, then the output of every row, so row `i` writes value `len(inputs) + i`. Every value has an
`EdgeType`: dtype, shape and inclusive range. The whole table, weights included, is committed to by
one Merkle root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
from eth_abi.abi import encode
from numpy.typing import NDArray

from nesa.protocol.digests import bytes_root, leaf_hash, merkle_root
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidModel
from nesa.protocol.ids import ZERO_DIGEST, Digest
from nesa.protocol.versions import MAX_EDGES, MAX_SHARDS

FORMAT: Final = "int-v1"

EXACT_FLOAT32: Final = 2**24
"""Below this magnitude every integer sum is exact in float32, in whatever order it is added."""

Integers = NDArray[np.int64]
Held = NDArray[np.integer[Any]]
"""Integers in whatever dtype holds them."""

ROW_ABI: Final = (
    "uint32",  # index of the row
    "uint16",  # opcode
    "int64[]",  # attributes
    "uint32[]",  # numbers of the values it reads
    "bytes32[]",  # their types
    "uint32",  # number of the value it writes
    "bytes32",  # type of that value
    "bytes32[]",  # roots of its parameters
)


class Opcode(IntEnum):
    """Every operator of `int-v1` with its number on the wire; 0 means nothing."""

    LINEAR = 1
    CONV = 2
    MATMUL = 3
    RESCALE = 4
    ADD_RESCALE = 5
    TABLE = 6
    MAX_POOL = 7
    SUM_POOL = 8
    ROW_SUM = 9
    ROW_MAX = 10
    DIVIDE_SEARCH = 11
    ROOT_SEARCH = 12
    EMBEDDING = 13
    ARG_MAX = 14
    RESHAPE = 15
    TRANSPOSE = 16
    CONCAT = 17
    SLICE = 18
    SHARD = 255
    """Not an operator: the row after the operators that says where one shard begins and ends."""


class ParameterKind(IntEnum):
    """What an array of constants means, and with it the type of its canonical bytes."""

    WEIGHTS = 1
    """int8, [output channels, operands of one dot product in order]."""
    BIASES = 2
    """int32, [output channels]."""
    MULTIPLIERS = 3
    """int32, [1] or [channels]."""
    ENTRIES = 4
    """int16, [256]."""

    @property
    def dtype(self) -> np.dtype[np.integer[Any]]:
        """Little-endian dtype of the canonical bytes."""
        return _PARAMETER_DTYPES[self]


_PARAMETER_DTYPES: Final[dict[ParameterKind, np.dtype[np.integer[Any]]]] = {
    ParameterKind.WEIGHTS: np.dtype(np.int8),
    ParameterKind.BIASES: np.dtype(np.int32).newbyteorder("<"),
    ParameterKind.MULTIPLIERS: np.dtype(np.int32).newbyteorder("<"),
    ParameterKind.ENTRIES: np.dtype(np.int16).newbyteorder("<"),
}


@dataclass(frozen=True, eq=False)
class Parameter:
    """Constants of one row, as narrow as their kind or wider; nobody writes to them.

    Raises:
        InvalidModel: no values, or values that the kind's dtype cannot hold.
    """

    kind: ParameterKind
    values: Held

    def __post_init__(self) -> None:
        info = np.iinfo(self.kind.dtype)
        if self.values.dtype.kind not in "iu" or self.values.size == 0:
            raise InvalidModel(f"{self.kind.name.lower()} must be a filled array of integers")
        if self.values.min() < info.min or self.values.max() > info.max:
            raise InvalidModel(f"{self.kind.name.lower()} do not fit {self.kind.dtype.name}")

    @property
    def data(self) -> bytes:
        """Canonical bytes: little-endian, C order."""
        return self.values.astype(self.kind.dtype, copy=False).tobytes(order="C")

    @cached_property
    def root(self) -> Digest:
        """Merkle root of the bytes; for weights the root over one root for each channel."""
        if self.kind is not ParameterKind.WEIGHTS:
            return bytes_root(self.data)
        rows = self.values.astype(self.kind.dtype, copy=False)
        return merkle_root([bytes_root(row.tobytes(order="C")) for row in rows])


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One operator with its constants. `inputs` and the place of the row number its values.

    Where only the roots of the constants are known, `parameters` is empty and they are in `stated`.
    """

    opcode: Opcode
    attributes: tuple[int, ...]
    inputs: tuple[int, ...]
    output_type: EdgeType
    parameters: tuple[Parameter, ...] = ()
    stated: tuple[Digest, ...] = ()

    def parameter(self, kind: ParameterKind) -> Integers:
        """The constants of `kind` as int64; errors as `held`."""
        return self.held(kind).astype(np.int64)

    def held(self, kind: ParameterKind) -> Held:
        """The constants of `kind` in whatever dtype they are held.

        Raises:
            InvalidModel: the row has none.
        """
        for parameter in self.parameters:
            if parameter.kind is kind:
                return parameter.values
        raise InvalidModel(f"{self.opcode.name} row has no {kind.name.lower()}")

    @property
    def roots(self) -> tuple[Digest, ...]:
        """A root for each of its constants."""
        return self.stated or tuple(parameter.root for parameter in self.parameters)

    def encoded(self, index: int, output: int, types: Sequence[EdgeType]) -> bytes:
        """What the row's leaf in the Merkle tree of its table is the hash of.

        The types of the inputs are in it, so that a judge needs no other row.
        """
        read = (self.inputs, [edge.pack() for edge in types])
        written = (output, self.output_type.pack())
        return encode(ROW_ABI, (index, self.opcode, self.attributes, *read, *written, self.roots))


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a table, ascending, with the numbers of the values that go in and come out."""

    rows: Sequence[int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shard:
    """A run of rows `first <= i < end` with the numbers of the values that cross its ends."""

    first: int
    end: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def part(self) -> Part:
        """Its rows and values."""
        return Part(range(self.first, self.end), self.inputs, self.outputs)

    def encoded(self, index: int) -> bytes:
        """What the shard's leaf, behind those of the operators, is the hash of."""
        attributes = (self.first, self.end, *self.outputs)
        place = (index, Opcode.SHARD, attributes, self.inputs, (), 0)
        return encode(ROW_ABI, (*place, ZERO_DIGEST, ()))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A whole model: types of the inputs, rows, numbers of the outputs, and where it is cut.

    `cuts` holds the row in front of which each further shard begins, strictly ascending. Values
    that cross the ends of a shard travel as float32, so they stay below 2**24.

    Raises:
        InvalidModel: values read before they are written, or cuts that are not legal.
    """

    inputs: tuple[EdgeType, ...]
    rows: tuple[Row, ...]
    outputs: tuple[int, ...]
    cuts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_values(self)
        _check_cuts(self)

    def type_of(self, value: int) -> EdgeType:
        """Type of the value with number `value`."""
        if value < len(self.inputs):
            return self.inputs[value]
        return self.rows[value - len(self.inputs)].output_type

    def types_of(self, values: Sequence[int]) -> tuple[EdgeType, ...]:
        """Types of several values."""
        return tuple(self.type_of(value) for value in values)

    def output_of(self, index: int) -> int:
        """Number of the value that row `index` writes."""
        return len(self.inputs) + index

    def crossing(self, position: int) -> tuple[int, ...]:
        """Numbers of the values that exist in front of row `position` and are needed from it on.

        In front of the first row these are the inputs, behind the last one the outputs.
        """
        if position == 0:
            return tuple(range(len(self.inputs)))
        if position == len(self.rows):
            return self.outputs
        needed = {value for row in self.rows[position:] for value in row.inputs}
        needed.update(self.outputs)
        return tuple(sorted(value for value in needed if value < self.output_of(position)))

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards in order; the outputs of one are the inputs of the next."""
        ends = (0, *self.cuts, len(self.rows))
        return tuple(
            Shard(first, end, self.crossing(first), self.crossing(end))
            for first, end in pairwise(ends)
        )

    def encoded_row(self, index: int) -> bytes:
        """What the leaf of row `index` is the hash of."""
        row = self.rows[index]
        return row.encoded(index, self.output_of(index), self.types_of(row.inputs))

    @property
    def leaves(self) -> tuple[Digest, ...]:
        """One leaf for each row, then one for each shard."""
        rows = (leaf_hash(self.encoded_row(index)) for index in range(len(self.rows)))
        shards = (
            leaf_hash(shard.encoded(len(self.rows) + number))
            for number, shard in enumerate(self.shards)
        )
        return (*rows, *shards)

    @property
    def operators_root(self) -> Digest:
        """Merkle root over the leaves."""
        return merkle_root(self.leaves)


def is_narrow(edge: EdgeType) -> bool:
    """Whether float32 holds every value of `edge`, and every sum on the way to it."""
    return edge.low > -EXACT_FLOAT32 and edge.high < EXACT_FLOAT32


def _check_values(table: Table) -> None:
    if not table.inputs or not table.rows or not table.outputs:
        raise InvalidModel("a table needs an input, a row and an output")
    for index, row in enumerate(table.rows):
        if not row.inputs or not all(0 <= v < table.output_of(index) for v in row.inputs):
            raise InvalidModel(f"row {index} reads a value that is not there yet")
    last = table.output_of(len(table.rows))
    if not all(0 <= value < last for value in table.outputs):
        raise InvalidModel("an output of the table is not written by any row")


def _check_cuts(table: Table) -> None:
    ends = (0, *table.cuts, len(table.rows))
    if any(first >= end for first, end in pairwise(ends)):
        raise InvalidModel(f"cuts {table.cuts} must ascend between 1 and {len(table.rows) - 1}")
    if len(ends) - 1 > MAX_SHARDS:
        raise InvalidModel(f"{len(ends) - 1} shards where {MAX_SHARDS} are allowed")
    for position in ends:
        crossing = table.crossing(position)
        if len(crossing) > MAX_EDGES:
            raise InvalidModel(f"more than {MAX_EDGES} values cross in front of row {position}")
        if not all(is_narrow(edge) for edge in table.types_of(crossing)):
            raise InvalidModel(f"a value beyond 2**24 crosses in front of row {position}")
