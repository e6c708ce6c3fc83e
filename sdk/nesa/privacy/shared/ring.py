"""Z_2^32: exact products of whole shares by float64 GEMM, and Beaver triples for two secrets.

The network takes digits instead of whole shares, and the client keeps products of two secrets;
docs/decisions/0041 says why, and `python -m benchmarks.privacy.shared` measures it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.graph import Integers
from nesa.protocol.errors import InvalidTensor, ReusedRandomness

Ring = NDArray[np.uint32]
"""Elements of Z_2^32."""

BITS: Final = 32
EXACT_BITS: Final = 53
PIECE_BITS: Final = 16


def to_ring(values: Integers) -> Ring:
    """Integers of any sign, modulo 2**32."""
    return (values & 0xFFFFFFFF).astype(np.uint32)


def from_ring(elements: Ring) -> Integers:
    """The integers in [-2**31, 2**31) with these residues."""
    return elements.view(np.int32).astype(np.int64)


def drawn(shape: tuple[int, ...]) -> Ring:
    """Uniformly random elements."""
    data = secrets.token_bytes(4 * int(np.prod(shape)))
    return np.frombuffer(data, np.uint32).reshape(shape)


def product(left: Ring, right: Integers) -> Ring:
    """`left @ right` modulo 2**32, with |right| < 2**31: as float64 GEMMs over so many operands
    that no sum passes 2**53.

    Weights of int8 take one GEMM up to K = 16,512.
    """
    largest = max(1, int(np.abs(right).max()))
    step = 2**EXACT_BITS // (2**BITS * largest)
    if step == 0:
        raise InvalidTensor(f"factors up to {largest} are split by `ring_product`")
    wide, total = left.astype(np.float64), None
    for first in range(0, left.shape[-1], step):
        part = slice(first, first + step)
        sums = wide[..., part] @ right[..., part, :].astype(np.float64)
        residue = to_ring(sums.astype(np.int64))
        total = residue if total is None else total + residue
    assert total is not None  # K is at least 1
    return total


def ring_product(left: Ring, right: Ring) -> Ring:
    """`left @ right` of two elements of 32 bits: the right one in two pieces of 16 bits."""
    low = product(left, (right & 0xFFFF).astype(np.int64))
    high = product(left, (right >> np.uint32(PIECE_BITS)).astype(np.int64))
    return low + (high << np.uint32(PIECE_BITS))


@dataclass(frozen=True, slots=True, eq=False)
class TripleShare:
    """One group's share of a triple: of a, of b and of their product."""

    first: Ring
    second: Ring
    product: Ring


class Triple:
    """A Beaver triple (Beaver, "Efficient multiparty protocols using circuit randomization", 1991)
    for one product [.., M, K] by [.., K, N], dealt by the client: uniform a, b and c = a b."""

    def __init__(self, left: tuple[int, ...], right: tuple[int, ...]) -> None:
        self._left, self._right = drawn(left), drawn(right)
        whole = ring_product(self._left, self._right)
        halves = TripleShare(drawn(left), drawn(right), drawn(whole.shape))
        rest = TripleShare(
            self._left - halves.first, self._right - halves.second, whole - halves.product
        )
        self.shares: tuple[TripleShare, TripleShare] = (halves, rest)
        self._used = False

    def mask(self, left: Integers, right: Integers) -> tuple[Ring, Ring]:
        """What both groups are sent of the two secrets: their differences to a and b.

        Raises:
            ReusedRandomness: the triple has masked secrets before.
        """
        if self._used:
            raise ReusedRandomness("a triple masks one pair of secrets; deal another for the next")
        self._used = True
        return to_ring(left) - self._left, to_ring(right) - self._right


def share_of_product(share: TripleShare, masked: tuple[Ring, Ring], is_first: bool) -> Ring:
    """One group's share of the product: `c_i + e b_i + a_i f`, and `e f` once."""
    left, right = masked
    total = share.product + ring_product(left, share.second) + ring_product(share.first, right)
    return total + ring_product(left, right) if is_first else total
