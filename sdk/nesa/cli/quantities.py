"""Counts and sums as a person writes them in a command."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import click

from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import NES_DECIMALS, ONE_NES, Amount

MOST_NES: Final = Decimal(10**30)
"""Far above what there is of NES, and below what a contract can hold."""

MOST_COINS: Final = Decimal(10**9)
"""Far above what anybody holds of a chain's coin."""

COIN_DECIMALS: Final = 18


class WholeNumber(click.IntRange):
    """A count within limits."""

    name = "whole number"


class Numbers(click.ParamType):
    """Whole numbers between commas; `name` says of what."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers; anything else is wrong usage."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
            self.fail(f"{value!r} is no list of {self.name}; give numbers such as 3,7", param, ctx)
        return tuple(map(int, words))


class Nes(click.ParamType):
    """A sum in NES, read as exact units."""

    name = "nes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Amount:
        """The units; anything that is no such sum is wrong usage."""
        try:
            nes = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is no sum in NES; give a number such as 0.4", param, ctx)
        if not nes.is_finite() or not 0 <= nes <= MOST_NES:
            self.fail(f"{value} is no sum in NES; give a number from 0 up", param, ctx)
        units = nes * ONE_NES
        if units != int(units):
            self.fail(f"{value} NES is too fine; NES has {NES_DECIMALS} decimals", param, ctx)
        return Amount(int(units))


class Percent(click.ParamType):
    """A part of a whole in percent, read as exact basis points."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The basis points; anything that is no such part is wrong usage."""
        try:
            bps = Decimal(str(value).removesuffix("%").strip()) * 100
        except InvalidOperation:
            self.fail(f"{value!r} is no percentage; give a number such as 12.5", param, ctx)
        if not bps.is_finite() or not 0 <= bps <= 10_000:
            self.fail(f"{value} is no percentage; give a number from 0 to 100", param, ctx)
        if bps != int(bps):
            self.fail(f"{value} % is too fine; give at most two decimals", param, ctx)
        return int(bps)


class Coins(click.ParamType):
    """A sum of the chain's coin, read as exact wei."""

    name = "coins"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The wei; anything that is no such sum is wrong usage."""
        try:
            coins = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is no sum of coins; give a number such as 0.002", param, ctx)
        if not coins.is_finite() or not 0 <= coins <= MOST_COINS:
            self.fail(f"{value} is no sum of coins; give a number from 0 up", param, ctx)
        wei = coins.scaleb(COIN_DECIMALS)
        if wei != int(wei):
            self.fail(f"{value} is too fine; a coin has {COIN_DECIMALS} decimals", param, ctx)
        return int(wei)


def in_coins(wei: int) -> str:
    """A sum of the chain's coin without trailing zeros, to the last wei."""
    return f"{Decimal(wei).scaleb(-COIN_DECIMALS).normalize():f}"


def open_dimensions(dims: Sequence[str]) -> dict[str, int]:
    """Open dimensions by name, from NAME=SIZE each.

    Raises:
        InvalidInput: it is written otherwise.
    """
    found = {}
    for text in dims:
        name, _, size = text.rpartition("=")
        if not (name and size.isascii() and size.isdigit() and 0 < int(size[:19]) < 2**31):
            raise InvalidInput(f"--dim takes NAME=SIZE, such as batch=8, not {text}")
        found[name] = int(size)
    return found
