"""What a defender has committed to, and the claims that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, assert_never

import numpy as np
from eth_utils.crypto import keccak

from nesa.models.disputes.moves import Defend, LeafProof
from nesa.models.graph import Opcode
from nesa.models.judging.questions import RowFacts, TableLeaf, facts_of, last_leaf_of, leaf_of
from nesa.models.opcodes.operands import Fold
from nesa.protocol.digests import (
    LEAF_BYTES,
    TENSOR_DOMAIN,
    blinded_digest,
    edges_digest,
    merkle_root,
)
from nesa.protocol.errors import IllegalMove
from nesa.protocol.ids import Digest
from nesa.protocol.openings import root_of

MAX_PARTS: Final = 16
"""Parts that a contested claim is cut into."""

LARGEST_VALUE: Final = 2**63 - 1
"""No part of any element comes near to it, and no sum of parts overflows a contract's integers."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What is disputed: the output of one shard of a version, given its input.

    `in_digest` and `out_digest` are those of the shard's boundaries, `shards` how many there are.
    Of a sealed query `in_digest` is as plain as of any other, and `out_digest` blinded as signed.
    """

    operators_root: bytes
    shard: int
    shards: int
    in_digest: bytes
    out_digest: bytes

    def as_abi(self) -> tuple[bytes, int, int, bytes, bytes]:
        """`IElementGame.Charge`."""
        return (
            self.operators_root,
            self.shard,
            self.shards,
            self.in_digest,
            self.out_digest,
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """All values of a shard, as a defender commits to them under `root`.

    Its places are the shard's `inputs`, then the values that rows `first <= i < end` write, whose
    numbers begin at `base`. The whole table has `leaves` leaves.
    """

    charge: Charge
    leaves: int
    inputs: tuple[int, ...]
    first: int
    end: int
    base: int
    root: Digest

    @property
    def width(self) -> int:
        """Number of values."""
        return len(self.inputs) + self.end - self.first

    def place_of(self, value: int) -> int:
        """Where the value with this number stands.

        Raises:
            IllegalMove: the shard neither reads nor writes it.
        """
        if value in self.inputs:
            return self.inputs.index(value)
        if not self.base <= value < self.base + self.end - self.first:
            raise IllegalMove(f"value {value} is none of the shard's")
        return len(self.inputs) + value - self.base

    def row_at(self, place: int) -> int:
        """Which row of the table writes the value at a place behind the inputs."""
        return self.first + place - len(self.inputs)

    def expect(
        self, values: Sequence[int], digests: Sequence[bytes], siblings: Sequence[bytes]
    ) -> None:
        """Returns when these are the digests of these values.

        Raises:
            IllegalMove: one is not.
            InvalidOpening: siblings are missing or left over.
        """
        if len(values) != len(digests):
            raise IllegalMove(f"{len(digests)} digests where {len(values)} values are read")
        held: dict[int, bytes] = {}
        for value, digest in zip(values, digests, strict=True):
            if held.setdefault(self.place_of(value), digest) != digest:
                raise IllegalMove(f"value {value} has two digests")
        places = sorted(held)
        if root_of(places, [held[place] for place in places], self.width, siblings) != self.root:
            raise IllegalMove("these are other values than were committed to")


@dataclass(frozen=True, slots=True)
class NamedRow:
    """The row that is in dispute, with the proof that it is one of the table's."""

    proof: LeafProof
    leaf: TableLeaf
    facts: RowFacts


@dataclass(frozen=True, slots=True)
class Claim:
    """Operands `first <= k < stop` of an element are worth `value`, the defender says."""

    element: int
    first: int
    stop: int
    value: int


def output_digest(outputs: Sequence[bytes], blind: bytes | None) -> Digest:
    """What members sign of a shard's output tensors (digests); `blind` is a sealed query's."""
    plain = edges_digest(outputs)
    return plain if blind is None else blinded_digest(plain, blind)


def trace_of(charge: Charge, move: Defend) -> Trace:
    """What a defence commits to.

    Raises:
        IllegalMove: it is not about this shard, its input and its output.
        InvalidOpening: a leaf that is none of the table's.
    """
    leaves = _leaf_count(charge, move.last)
    shard = _leaf(charge, leaves, move.shard)
    if (shard.opcode, shard.index) != (Opcode.SHARD, leaves - charge.shards + charge.shard):
        raise IllegalMove("this is another leaf than the shard's")
    first, end, *outputs = shard.attributes
    row = _leaf(charge, leaves, move.first)
    if row.opcode is Opcode.SHARD or row.index != first:
        raise IllegalMove("this is another row than the shard's first")
    if edges_digest(move.inputs) != charge.in_digest:
        raise IllegalMove("these are the digests of another input")
    if output_digest(move.outputs, move.blind) != charge.out_digest:
        raise IllegalMove("these are the digests of another output")
    root = merkle_root(move.nodes) if move.nodes else Digest(b"")
    trace = Trace(charge, leaves, shard.inputs, first, end, row.output, root)
    trace.expect((*shard.inputs, *outputs), (*move.inputs, *move.outputs), move.siblings)
    return trace


def named_row(trace: Trace, place: int, digest: bytes, proof: LeafProof, root: bytes) -> NamedRow:
    """The row that writes the value at a place, whose tree has the root `root`.

    Raises:
        IllegalMove: another row, or the tree of another value.
        InvalidOpening: no row of the table.
    """
    leaf = _leaf(trace.charge, trace.leaves, proof)
    if leaf.index != trace.row_at(place):
        raise IllegalMove(f"row {leaf.index} is shown where {trace.row_at(place)} was picked")
    facts = facts_of(leaf)
    if keccak(TENSOR_DOMAIN + leaf.output_type + root) != digest:
        raise IllegalMove("this is the tree of another value")
    return NamedRow(proof, leaf, facts)


def tree_width(row: NamedRow) -> int:
    """Leaves of the tree of the row's output."""
    return -(-row.facts.row.output_type.nbytes // LEAF_BYTES)


def claims_in(row: NamedRow, leaf: int, data: bytes, operands: int) -> tuple[Claim, ...]:
    """One claim for each element that a leaf of the row's output holds.

    Raises:
        IllegalMove: another number of bytes than the leaf has.
    """
    edge = row.facts.row.output_type
    start = leaf * LEAF_BYTES
    if len(data) != min(LEAF_BYTES, edge.nbytes - start):
        raise IllegalMove(f"leaf {leaf} does not have {len(data)} bytes")
    first = start // edge.dtype.itemsize
    values = np.frombuffer(data, edge.dtype.numpy).tolist()
    return tuple(Claim(first + k, 0, operands, value) for k, value in enumerate(values))


def cuts(claim: Claim) -> tuple[range, ...]:
    """The parts of a claim: up to 16, of equal size but for the last."""
    size = -(-(claim.stop - claim.first) // MAX_PARTS)
    ends = (*range(claim.first, claim.stop, size), claim.stop)
    return tuple(range(first, stop) for first, stop in pairwise(ends))


def parts_of(claim: Claim, fold: Fold, values: Sequence[int]) -> tuple[Claim, ...]:
    """The parts of a contested claim with what is stated of them.

    Raises:
        IllegalMove: too few or too many values, or they make another one than was claimed.
    """
    parts = cuts(claim)
    if len(values) != len(parts):
        raise IllegalMove(f"{len(values)} values where there are {len(parts)} parts")
    if any(abs(value) > LARGEST_VALUE for value in values):
        raise IllegalMove("no part has a value of more than 63 bits")
    if combined(fold, values) != claim.value:
        raise IllegalMove("the parts make another value than was claimed")
    pairs = zip(parts, values, strict=True)
    return tuple(Claim(claim.element, part.start, part.stop, value) for part, value in pairs)


def combined(fold: Fold, values: Sequence[int]) -> int:
    """What neighbouring parts of an element make together.

    Raises:
        IllegalMove: the element has no parts.
    """
    match fold:
        case Fold.SUM:
            return sum(values)
        case Fold.LARGEST:
            return max(values)
        case Fold.WHOLE:
            raise IllegalMove("the element is judged at once")
    assert_never(fold)


def _leaf(charge: Charge, leaves: int, proof: LeafProof) -> TableLeaf:
    return leaf_of(charge.operators_root, leaves, proof.data, proof.path)


def _leaf_count(charge: Charge, last: LeafProof) -> int:
    """How many leaves the table has: only the last one's path is right for that many."""
    return last_leaf_of(charge.operators_root, last.data, last.path).index + 1
