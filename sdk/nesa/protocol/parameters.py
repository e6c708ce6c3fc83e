"""Protocol parameters that a query carries with it, packed into one word as the contracts do."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Final

from nesa.protocol.errors import InvalidInput

BPS: Final = 10_000
"""Basis points in a whole."""

_WIDTHS: Final = (16, 16, 16, 16, 16, 8, 16, 8, 32, 32, 32)
"""Bits of each field, the first field in the lowest bits."""


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """Rules that hold for one query from its request to its end, whatever governance does later.

    Shares are in basis points of the base fee; what they leave over goes to the treasury.
    Turns and windows are in seconds.
    """

    miners_bps: int
    oracle_bps: int
    royalty_bps: int
    reviewers_bps: int
    oracle_turn: int
    oracle_turns: int
    prover_turn: int
    prover_turns: int
    answer_window: int
    claim_window: int
    dispute_window: int

    def pack(self) -> int:
        """The word that the terms carry.

        Raises:
            InvalidInput: a field does not fit its bits.
        """
        word, offset = 0, 0
        for field, value, width in zip(fields(self), astuple(self), _WIDTHS, strict=True):
            if not 0 <= value < 1 << width:
                raise InvalidInput(f"{field.name} {value} does not fit {width} bits")
            word |= value << offset
            offset += width
        return word

    @classmethod
    def unpack(cls, word: int) -> QueryParameters:
        """The parameters that `word` holds."""
        values = []
        for width in _WIDTHS:
            values.append(word & ((1 << width) - 1))
            word >>= width
        return cls(*values)
