"""What a judge is asked and shown; the structs of `contracts/interfaces/IJudge.vyi`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from nesa.models.graph import ROW_ABI, Opcode, Row
from nesa.protocol.digests import LEAF_BYTES, leaf_hash
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidInput, InvalidOpening
from nesa.protocol.openings import root_of

MAX_LEAVES: Final = 16
"""Leaves of one column that are opened at once."""

MAX_NODES: Final = 128
"""Nodes between them and the root of their tree."""


@dataclass(frozen=True, slots=True)
class Question:
    """One element of one row's output.

    `row` is what the row's leaf is the hash of, `rows` the number of leaves under the operators
    root, `path` the siblings of the row's leaf, `tensors` the digests of the row's inputs as the
    defender committed them.
    """

    operators_root: bytes
    rows: int
    row: bytes
    path: tuple[bytes, ...]
    element: int
    tensors: tuple[bytes, ...]

    def as_abi(self) -> tuple[bytes, int, bytes, Sequence[bytes], int, Sequence[bytes]]:
        """Fields in the order of the contract's struct."""
        return self.operators_root, self.rows, self.row, self.path, self.element, self.tensors


@dataclass(frozen=True, slots=True)
class Opening:
    """Ascending leaves of one tensor or one row's constants, their bytes, and what proves them.

    `path` leads from the root of one channel to the root of weights and is empty otherwise. No
    leaves at all open nothing.
    """

    leaves: tuple[int, ...] = ()
    data: bytes = b""
    siblings: tuple[bytes, ...] = ()
    path: tuple[bytes, ...] = ()

    def as_abi(self) -> tuple[Sequence[int], Sequence[int], Sequence[bytes], Sequence[bytes]]:
        """Fields in the order of the contract's struct; the last leaf is filled up with zeros."""
        filled = self.data.ljust(LEAF_BYTES * len(self.leaves), b"\0")
        starts = range(0, len(filled), 32)
        words = [int.from_bytes(filled[start : start + 32], "big") for start in starts]
        return self.leaves, words, self.siblings, self.path


@dataclass(frozen=True, slots=True)
class RowFacts:
    """A row without its constants: their roots instead, in order, and the types of its inputs."""

    row: Row
    types: tuple[EdgeType, ...]
    roots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TableLeaf:
    """What one leaf under an operators root says; an operator, or where a shard begins and ends."""

    index: int
    opcode: Opcode
    attributes: tuple[int, ...]
    inputs: tuple[int, ...]
    types: tuple[bytes, ...]
    output: int
    output_type: bytes
    roots: tuple[bytes, ...]


def leaf_of(operators_root: bytes, rows: int, data: bytes, path: Sequence[bytes]) -> TableLeaf:
    """The leaf that `data` is the encoding of, which `path` leads to among `rows` leaves.

    Raises:
        InvalidOpening: no leaf of the version.
    """
    leaf = _decoded(data)
    if root_of([leaf.index], [leaf_hash(data)], rows, path) != operators_root:
        raise InvalidOpening("the row is none of the version")
    return leaf


def last_leaf_of(operators_root: bytes, data: bytes, path: Sequence[bytes]) -> TableLeaf:
    """The last leaf under an operators root; its index tells how many there are.

    Only its path has all siblings on the left, so no other leaf can pass for it.

    Raises:
        InvalidOpening: not the last leaf of the version.
    """
    return leaf_of(operators_root, _decoded(data).index + 1, data, path)


def _decoded(data: bytes) -> TableLeaf:
    try:
        index, code, attributes, inputs, types, *written = decode(ROW_ABI, data)
        return TableLeaf(index, Opcode(code), attributes, inputs, types, *written)
    except (DecodingError, ValueError) as error:
        raise InvalidOpening(f"no row of int-v1: {error}") from error


def facts_of(leaf: TableLeaf) -> RowFacts:
    """What a leaf says of an operator.

    Raises:
        InvalidOpening: it is none, or its types are none of `int-v1`.
    """
    try:
        output_type = EdgeType.unpack(leaf.output_type)
        row = Row(leaf.opcode, leaf.attributes, leaf.inputs, output_type)
        return RowFacts(row, tuple(EdgeType.unpack(word) for word in leaf.types), leaf.roots)
    except InvalidInput as error:
        raise InvalidOpening(f"no row of int-v1: {error}") from error


def row_of(question: Question) -> RowFacts:
    """The row that a question is about.

    Raises:
        InvalidOpening: no row of the version, or an element or a digest too many.
    """
    facts = facts_of(leaf_of(question.operators_root, question.rows, question.row, question.path))
    if not 0 <= question.element < facts.row.output_type.elements:
        raise InvalidOpening(f"element {question.element} does not exist")
    if len(question.tensors) != len(facts.types):
        raise InvalidOpening("one digest for each input is needed")
    return facts
