"""Shares as a group is sent them, and the masks that are between them and the numbers behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.shared.digits import Digits

Words = NDArray[np.uint32]

BYTES: Final = Digits(8, 4)
"""Numbers modulo 2^32."""


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Shares of numbers [k, places, width]: digits [count, k, places, width], uint8, the lowest
    first, and how they are written."""

    digits: NDArray[np.uint8]
    written: Digits

    def __len__(self) -> int:
        return self.digits.shape[1]

    @property
    def bits(self) -> int:
        """Bits of an element."""
        return self.written.width * self.written.count

    def elements(self) -> NDArray[np.uint64]:
        """The elements [k, places, width] that the digits write down."""
        joined: NDArray[np.uint64] = self.written.join(self.digits).astype(np.uint64)
        return joined

    def words(self) -> Words:
        """The elements as 32 bits, theirs at the top: read as signed, they have their sign."""
        elements, shift = self.elements(), 32 - self.bits
        moved = elements << np.uint64(shift) if shift >= 0 else elements >> np.uint64(-shift)
        return moved.astype(np.uint32)

    def masks(self, numbers: NDArray[Any]) -> NDArray[np.uint64]:
        """The other shares [k, places, width], given the numbers, which float32 holds exactly."""
        whole = numbers.astype(np.int64).astype(np.uint64)
        return (whole - self.elements()) & np.uint64(self.written.modulus - 1)

    def added(self, other: Shares) -> NDArray[np.float32]:
        """The numbers, of both shares of them."""
        modulus = self.written.modulus
        total = (self.elements() + other.elements()).astype(np.int64) % modulus
        signed = np.where(total >= modulus // 2, total - modulus, total)
        return signed.astype(np.float32)


def shares_of(numbers: NDArray[Any], masks: NDArray[Any], written: Digits = BYTES) -> Shares:
    """What is left of numbers when a mask each is taken from them."""
    left = (numbers.astype(np.int64) - masks.astype(np.int64)) % written.modulus
    return Shares(written.split(left), written)
