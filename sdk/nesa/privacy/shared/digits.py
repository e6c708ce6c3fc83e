"""Shares of integers modulo a power of two, written in digits that a float32 GEMM adds exactly.

A value x in Z_2^m is the sum of its shares. A share is written as `count` digits of `width` bits,
`m = width * count`, so a linear map of the share is that of its digits: an ordinary row of `int-v1`
over uint8, whose sums stay below 2**24. The map of the value follows by powers of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

from nesa.models.graph import EXACT_FLOAT32, Held, Integers
from nesa.protocol.errors import InvalidModel

Bytes = NDArray[np.uint8]
"""Digits, the lowest first along axis 0."""

MAX_WIDTH: Final = 8
"""Bits of a digit that fits uint8."""

SEED_BYTES: Final = 32
"""Bytes of a key of ChaCha20."""


@dataclass(frozen=True, slots=True)
class Digits:
    """How an element modulo `2**(width * count)` is written, with 1 <= width <= 8."""

    width: int
    count: int

    @property
    def modulus(self) -> int:
        """What shares are added up modulo."""
        return 1 << self.width * self.count

    def split(self, values: Integers) -> Bytes:
        """Digits [count, ..] of integers of any sign, modulo the modulus."""
        digits = np.empty((self.count, *values.shape), np.uint8)
        for place in range(self.count):
            digits[place] = values >> place * self.width & (1 << self.width) - 1
        return digits

    def join(self, digits: Held) -> Integers:
        """The sum of digits [count, ..] times their powers of two, as int64 and not reduced.

        Digits may be sums of digits, of either sign and below 2**25.
        """
        total = np.zeros(digits.shape[1:], np.int64)
        for digit in digits[::-1]:
            total <<= self.width
            total += digit
        return total

    def rest(self, values: Integers, first: Bytes) -> Bytes:
        """The digits of the other share, given the digits of one: uniform as well, on its own."""
        return self.split(values - self.join(first))


def digits_for(weight: int, span: int) -> Digits:
    """The widest and fewest digits for a map whose largest sum of |weights| is `weight`.

    `span` is the distance between its lowest and highest result. Sums of digits stay below 2**24,
    and the modulus is larger than `span`, so that a result is known from its residue.

    Raises:
        InvalidModel: not even single bits can be added up.
    """
    width = min(MAX_WIDTH, ((EXACT_FLOAT32 - 1) // max(weight, 1) + 1).bit_length() - 1)
    if width < 1:
        raise InvalidModel(f"weights that add up to {weight} are too large for shares of one bit")
    return Digits(width, max(1, -(-span.bit_length() // width)))


def key_stream(seed: bytes, elements: int, width: int) -> Bytes:
    """Uniformly random digits [elements] of `width` bits: the ChaCha20 key stream of a seed of 32
    bytes (RFC 8439), one byte a digit, its upper bits cut off.

    A seed serves for one share; see `ShareSeed`.
    """
    cipher = Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor()
    stream = np.frombuffer(cipher.update(bytes(elements)), np.uint8)
    return stream & np.uint8((1 << width) - 1)
