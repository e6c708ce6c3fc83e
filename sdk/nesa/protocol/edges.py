"""Types of the tensors that cross a shard boundary, packed into one word each.

An edge type is 32 bytes: format (1) | dtype (1) | rank (1) | zero (1) | lowest value (4, signed) |
highest value (4, signed) | up to five dimensions (4 each, unsigned), all big-endian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.protocol.errors import InvalidTensor

EDGE_FORMAT: Final = 1
MAX_RANK: Final = 5

Integer = np.int8 | np.uint8 | np.int16 | np.int32
"""Element types of canonical tensors."""


class DType(IntEnum):
    """Integer types of `int-v1` with their codes on the wire; code 0 means nothing."""

    INT8 = 1
    UINT8 = 2
    INT16 = 3
    INT32 = 4

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    @property
    def numpy(self) -> np.dtype[Integer]:
        """Little-endian numpy dtype of the canonical bytes."""
        return _NUMPY[self]

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest value that the type can hold."""
        info = np.iinfo(self.numpy)
        return int(info.min), int(info.max)


_NUMPY: Final[dict[DType, np.dtype[Integer]]] = {
    DType.INT8: np.dtype("i1"),
    DType.UINT8: np.dtype("u1"),
    DType.INT16: np.dtype("<i2"),
    DType.INT32: np.dtype("<i4"),
}


@dataclass(frozen=True, slots=True)
class EdgeType:
    """dtype, shape and inclusive value range of one tensor.

    Raises:
        InvalidTensor: rank over 5, a dimension below 1, or a range outside the dtype.
    """

    dtype: DType
    shape: tuple[int, ...]
    low: int
    high: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.shape) <= MAX_RANK:
            raise InvalidTensor(f"rank {len(self.shape)} is not between 1 and {MAX_RANK}")
        if any(not 1 <= size < 2**32 for size in self.shape):
            raise InvalidTensor(f"shape {self.shape} has a dimension that is not in [1, 2**32)")
        least, greatest = self.dtype.bounds
        if not least <= self.low <= self.high <= greatest:
            raise InvalidTensor(
                f"range [{self.low}, {self.high}] does not fit {self.dtype.name.lower()}"
            )

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Length of the canonical bytes."""
        return self.elements * self.dtype.itemsize

    def pack(self) -> bytes:
        """The 32-byte word that contracts store for this edge."""
        head = bytes([EDGE_FORMAT, self.dtype, len(self.shape), 0])
        span = self.low.to_bytes(4, "big", signed=True) + self.high.to_bytes(4, "big", signed=True)
        sizes = b"".join(size.to_bytes(4, "big") for size in self.shape)
        return (head + span + sizes).ljust(32, b"\0")

    @classmethod
    def unpack(cls, word: bytes) -> EdgeType:
        """The edge type that `word` (32 bytes) encodes.

        Raises:
            InvalidTensor: not a canonical edge word.
        """
        if len(word) != 32 or word[0] != EDGE_FORMAT or not 1 <= word[2] <= MAX_RANK:
            raise InvalidTensor(f"0x{word.hex()} is not an edge type of format {EDGE_FORMAT}")
        if word[1] not in tuple(DType):
            raise InvalidTensor(f"edge type has unknown dtype code {word[1]}")
        shape = tuple(int.from_bytes(word[12 + 4 * i : 16 + 4 * i], "big") for i in range(word[2]))
        low = int.from_bytes(word[4:8], "big", signed=True)
        high = int.from_bytes(word[8:12], "big", signed=True)
        edge = cls(DType(word[1]), shape, low, high)
        if edge.pack() != word:
            raise InvalidTensor(f"0x{word.hex()} is not canonical")
        return edge

    def encode(self, values: NDArray[np.generic]) -> bytes:
        """Canonical bytes of `values`: little-endian two's complement, C order.

        Floats are accepted when every one is an integer; -0.0 becomes 0.

        Raises:
            InvalidTensor: wrong shape, a fraction, NaN, or a value outside the range.
        """
        if values.shape != self.shape:
            raise InvalidTensor(f"shape {values.shape} is not {self.shape}")
        if values.dtype.kind == "f":
            _refuse_fractions(values)
        elif values.dtype.kind not in "iu":
            raise InvalidTensor(f"dtype {values.dtype} is neither integer nor float")
        lowest, highest = int(values.min()), int(values.max())
        if lowest < self.low or highest > self.high:
            raise InvalidTensor(
                f"values [{lowest}, {highest}] leave the range [{self.low}, {self.high}]"
            )
        return values.astype(self.dtype.numpy).tobytes(order="C")

    def decode(self, data: bytes) -> NDArray[Integer]:
        """Tensor of this type from its canonical bytes.

        Raises:
            InvalidTensor: wrong length or a value outside the range.
        """
        if len(data) != self.nbytes:
            raise InvalidTensor(f"{len(data)} bytes where {self.nbytes} are needed")
        values = np.frombuffer(data, self.dtype.numpy).reshape(self.shape)
        if int(values.min()) < self.low or int(values.max()) > self.high:
            raise InvalidTensor(
                f"values [{values.min()}, {values.max()}] leave the range [{self.low}, {self.high}]"
            )
        return values


def _refuse_fractions(values: NDArray[np.generic]) -> None:
    floats = values.astype(np.float64)
    if not np.isfinite(floats).all() or (np.floor(floats) != floats).any():
        raise InvalidTensor("a tensor of integers holds NaN, infinity or a fraction")
