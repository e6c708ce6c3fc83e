"""Protocol parameters, packed into one word each as the contracts do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, Final

from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Amount

BPS: Final = 10_000
"""Basis points in a whole."""

_QUERY_WIDTHS: Final = (16, 16, 16, 16, 16, 8, 16, 8, 32, 32, 32, 24, 24)
_LIMIT_WIDTHS: Final = (32, 32, 16, 64, 16, 8, 16, 16)
"""Bits of each field, the first field in the lowest bits."""


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """Rules that hold for one query from its request to its end, whatever governance does later.

    Shares are in basis points of the base fee; what they leave over goes to the treasury.
    Turns and windows are in seconds. A dispute gives signers `defence_window` to answer for a
    digest, and either side of a game `move_window` for each move.
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
    defence_window: int
    move_window: int

    def pack(self) -> int:
        """The word that the terms carry.

        Raises:
            InvalidInput: a field does not fit its bits.
        """
        return _pack(self, _QUERY_WIDTHS)

    @classmethod
    def unpack(cls, word: int) -> QueryParameters:
        """The parameters that `word` holds."""
        return cls(*_unpack(word, _QUERY_WIDTHS))


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a request and a new seat are held to.

    `callback_price` is in NES units for 1,000 gas, `seat_stake` in NES units; `exposure_bps` is
    the part of what a lying quorum's seats could repay that may be open in one version. Parts of
    the seat stake are what a challenger deposits, and what a signer loses by a defence that it lets
    run out.
    """

    callback_price: Amount
    max_callback_gas: int
    min_seats: int
    seat_stake: Amount
    exposure_bps: int
    max_replicas: int
    challenger_bond_bps: int
    defence_penalty_bps: int

    def pack(self) -> int:
        """The word that requests and seats read.

        Raises:
            InvalidInput: a field does not fit its bits.
        """
        return _pack(self, _LIMIT_WIDTHS)

    @classmethod
    def unpack(cls, word: int) -> RequestLimits:
        """The limits that `word` holds."""
        return cls(*_unpack(word, _LIMIT_WIDTHS))


def _pack(values: QueryParameters | RequestLimits, widths: Sequence[int]) -> int:
    word, offset = 0, 0
    for field, value, width in zip(fields(values), astuple(values), widths, strict=True):
        if not 0 <= value < 1 << width:
            raise InvalidInput(f"{field.name} {value} does not fit {width} bits")
        word |= value << offset
        offset += width
    return word


def _unpack(word: int, widths: Sequence[int]) -> list[Any]:
    values = []
    for width in widths:
        values.append(word & ((1 << width) - 1))
        word >>= width
    return values
