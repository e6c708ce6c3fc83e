"""Judges from openings alone; the same as the contracts in `contracts/disputes/`.

Nothing here reads a table or a tensor: a question names the version's root and the digests of the
inputs, and every operand is found by the index function of the operator.
"""

from __future__ import annotations

import numpy as np
from eth_utils.crypto import keccak

from nesa.models.graph import Opcode, ParameterKind, Row
from nesa.models.judging.addresses import Address, address, columns_of, constants_shape
from nesa.models.judging.questions import MAX_LEAVES, MAX_NODES, Opening, Question, RowFacts, row_of
from nesa.models.opcodes import operator
from nesa.models.opcodes.operands import Fold
from nesa.protocol.digests import LEAF_BYTES, TENSOR_DOMAIN, leaf_hash
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidOpening
from nesa.protocol.openings import leaf_count, opened_bytes, root_of


def extent(question: Question) -> tuple[Fold, int]:
    """How an element is put together, and how many operands can be cut into parts.

    Raises:
        InvalidOpening: the question is about no row of the version.
    """
    return extent_of(row_of(question).row)


def extent_of(row: Row) -> tuple[Fold, int]:
    """As `extent`, of a row that is known."""
    match row.opcode:
        case Opcode.LINEAR | Opcode.CONV:
            return Fold.SUM, constants_shape(row, ParameterKind.WEIGHTS)[1]
        case Opcode.MATMUL:
            return Fold.SUM, row.attributes[1]
        case Opcode.ROW_SUM | Opcode.ROW_MAX:
            return operator(row.opcode).fold, row.attributes[0]
        case Opcode.MAX_POOL | Opcode.SUM_POOL:
            return operator(row.opcode).fold, row.attributes[3] * row.attributes[4]
        case _:
            return Fold.WHOLE, 1


def evaluate(
    question: Question, first: int, stop: int, openings: tuple[Opening, ...]
) -> int | None:
    """What operands `first <= k < stop` make of an element, the element when they are all.

    None when one of them is out of its range: nobody honest signs for such an input, so that every
    claim about it is wrong.

    Raises:
        InvalidOpening: the openings are not of these operands.
    """
    facts = row_of(question)
    if facts.row.opcode is Opcode.ARG_MAX:
        raise InvalidOpening("an ArgMax is refuted, not evaluated")
    columns = columns_of(facts.row, facts.types, question.element, first, stop)
    if len(columns) != len(openings):
        raise InvalidOpening(f"{len(openings)} columns where {len(columns)} are needed")
    values: list[tuple[int, ...]] = []
    for (source, column), opening in zip(columns, openings, strict=True):
        chosen = values[0] if values else ()
        wanted = address(facts.row, source, column, chosen)
        read = _read(question, facts, wanted, opening)
        if read is None:
            return None
        values.append(read)
    return operator(facts.row.opcode).judge(facts.row, values)


def is_refuted(question: Question, claimed: int, place: int, opening: Opening) -> bool:
    """Whether the operand at `place` shows that a claimed ArgMax is wrong, or one is out of range.

    Raises:
        InvalidOpening: no ArgMax, no such place, or not the two values.
    """
    facts = row_of(question)
    if facts.row.opcode is not Opcode.ARG_MAX:
        raise InvalidOpening("the row is no ArgMax")
    size = facts.row.attributes[0]
    if not 0 <= claimed < size:
        return True
    if not 0 <= place < size or place == claimed:
        raise InvalidOpening(f"place {place} is not another one below {size}")
    base = question.element * size
    wanted = Address(0, 0, (base + claimed, base + place))
    read = _read(question, facts, wanted, opening)
    if read is None:
        return True
    held, found = read
    return found > held or (found == held and place < claimed)


def _read(
    question: Question, facts: RowFacts, wanted: Address, opening: Opening
) -> tuple[int, ...] | None:
    """The operands at an address, from an opening that is bound to where it must lie; None when
    one is out of range."""
    source = wanted.source
    if isinstance(source, ParameterKind):
        leaves = _constant_leaves(facts, source, wanted.channel, opening)
        return _decoded(leaves, np.dtype(source.dtype), wanted.places, None)
    _expect_no_path(opening)
    edge = facts.types[source]
    leaves = _tensor_leaves(edge, question.tensors[source], opening)
    return _decoded(leaves, edge.dtype.numpy, wanted.places, edge)


def _tensor_leaves(edge: EdgeType, digest: bytes, opening: Opening) -> dict[int, bytes]:
    if opening == Opening():
        return {}
    leaves, root = _data_root(opening, edge.nbytes)
    if keccak(TENSOR_DOMAIN + edge.pack() + root) != digest:
        raise InvalidOpening("the leaves are those of another tensor")
    return leaves


def _constant_leaves(
    facts: RowFacts, kind: ParameterKind, channel: int, opening: Opening
) -> dict[int, bytes]:
    channels, size = constants_shape(facts.row, kind)
    is_bias = kind is ParameterKind.BIASES
    wanted = facts.roots[1 if is_bias else 0]
    if kind is not ParameterKind.WEIGHTS:
        _expect_no_path(opening)
        if opening == Opening():
            return {}
    leaves, root = _data_root(opening, size * kind.dtype.itemsize)
    if kind is ParameterKind.WEIGHTS:
        root = root_of([channel], [root], channels, opening.path)
    if root != wanted:
        raise InvalidOpening(f"the leaves are those of other {kind.name.lower()}")
    return leaves


def _data_root(opening: Opening, size: int) -> tuple[dict[int, bytes], bytes]:
    if len(opening.leaves) > MAX_LEAVES or len(opening.siblings) > MAX_NODES:
        raise InvalidOpening(f"more than {MAX_LEAVES} leaves or {MAX_NODES} nodes at once")
    leaves = opened_bytes(opening.leaves, opening.data, size)
    nodes = [leaf_hash(data) for data in leaves.values()]
    return leaves, root_of(opening.leaves, nodes, leaf_count(size), opening.siblings)


def _decoded(
    leaves: dict[int, bytes],
    dtype: np.dtype[np.generic],
    places: tuple[int, ...],
    edge: EdgeType | None,
) -> tuple[int, ...] | None:
    """Integers at `places`, 0 for padding; None when one is out of the range of `edge`."""
    found = tuple(0 if place < 0 else _integer(leaves, dtype, place) for place in places)
    for place, value in zip(places, found, strict=True):
        if place >= 0 and edge is not None and not edge.low <= value <= edge.high:
            return None
    return found


def _integer(leaves: dict[int, bytes], dtype: np.dtype[np.generic], place: int) -> int:
    leaf, start = divmod(place * dtype.itemsize, LEAF_BYTES)
    if leaf not in leaves:
        raise InvalidOpening(f"operand {place} is not opened")
    (value,) = np.frombuffer(leaves[leaf][start : start + dtype.itemsize], dtype).tolist()
    return int(value)


def _expect_no_path(opening: Opening) -> None:
    if opening.path:
        raise InvalidOpening("only weights have a path")
