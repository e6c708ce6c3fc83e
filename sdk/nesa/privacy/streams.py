"""Random numbers from a secret: a ChaCha20 keystream, and what is drawn from it.

The same 32 bytes give the same permutation or matrix on every machine; matrices up to the rounding
of the machine's linear algebra.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Places = NDArray[np.int64]

_NONCE: Final = bytes(16)
_WORD_BYTES: Final = 8


class Stream:
    """Numbers from a key of 32 bytes that is used for nothing else."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(ChaCha20(key, _NONCE), mode=None).encryptor()

    def words(self, count: int) -> NDArray[np.uint64]:
        """`count` numbers, uniform in [0, 2**64)."""
        data = self._cipher.update(bytes(count * _WORD_BYTES))
        return np.frombuffer(data, "<u8").astype(np.uint64)

    def permutation(self, size: int) -> Places:
        """[size] int64: where each place goes; by Fisher and Yates, every permutation as likely."""
        places = list(range(size))
        bounds = np.arange(size, 1, -1, dtype=np.uint64)
        for last, chosen in zip(range(size - 1, 0, -1), self._below(bounds).tolist(), strict=True):
            places[last], places[chosen] = places[chosen], places[last]
        return np.array(places, np.int64)

    def uniform(self, count: int) -> Matrix:
        """[count] float64, uniform in [0, 1)."""
        numbers: Matrix = (self.words(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return numbers

    def normal(self, count: int) -> Matrix:
        """[count] float64, standard normal (Box and Muller)."""
        half = (count + 1) // 2
        radius = np.sqrt(-2 * np.log1p(-self.uniform(half)))
        angle = 2 * np.pi * self.uniform(half)
        both: Matrix = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        return both[:count]

    def orthogonal(self, size: int) -> Matrix:
        """[size, size] float64 from Haar's measure: QR of a normal matrix, R's signs positive
        (Mezzadri 2007)."""
        q, r = np.linalg.qr(self.normal(size * size).reshape(size, size))
        signs = np.where(np.diag(r) < 0, -1.0, 1.0)
        drawn: Matrix = q * signs
        return drawn

    def _below(self, bounds: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """One number below each bound; words of the last, incomplete round are drawn anew."""
        words = self.words(len(bounds))
        limits = np.uint64(2**64 - 1) - (np.uint64(2**64 - 1) % bounds + np.uint64(1)) % bounds
        while (beyond := words > limits).any():
            words[beyond] = self.words(int(beyond.sum()))
        return words % bounds
