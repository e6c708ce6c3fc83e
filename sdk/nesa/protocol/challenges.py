"""A challenge of one signed digest: who may still act, how it ends, and who pays whom.

A challenge has a game for each signer that defends the digest (`nesa.models.disputes`). Here a game
is no more than its result. Sums are NES units; halves are rounded down for whoever is paid, and the
rest is burned. docs/disputes.md has the table that `settlement` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias, assert_never

from nesa.protocol.errors import IllegalMove
from nesa.protocol.ids import Address


class Result(Enum):
    """How the game of one defence stands."""

    OPEN = "open"
    WON = "won"
    LOST_BY_TIME = "lost by time"
    LOST_BY_FACT = "lost by fact"


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is at stake: bonds of either side, and the stake of a seat."""

    challenger_bond: int
    defender_bond: int
    seat_stake: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenger against one digest of these `signers`.

    Defences are taken until `defence_ends`, in seconds of the chain's clock; `defences` keeps them
    in the order in which they came.
    """

    challenger: Address
    signers: tuple[Address, ...]
    stakes: Stakes
    defence_ends: int
    defences: tuple[tuple[Address, Result], ...] = ()


@dataclass(frozen=True, slots=True)
class Undecided:
    """A game is open, or a defence may still come."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The digest stands in this challenge: `winner` could show that it is right."""

    winner: Address


@dataclass(frozen=True, slots=True)
class Fallen:
    """Nobody could show that the digest is right."""


@dataclass(frozen=True, slots=True)
class FallenElsewhere:
    """The digest fell in another challenge before this one was decided."""


Ending: TypeAlias = Standing | Fallen | FallenElsewhere
Verdict: TypeAlias = Undecided | Standing | Fallen


@dataclass(frozen=True, slots=True)
class Slash:
    """Stake to take from a signer, and how much of it the challenger gets at most."""

    signer: Address
    amount: int
    reward: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an ending pays out of the bonds, what of them is burned, and who is slashed."""

    paid: Mapping[Address, int]
    burned: int
    slashes: tuple[Slash, ...]


def defended(challenge: Challenge, signer: Address, now: int) -> Challenge:
    """The challenge with one more defence.

    Raises:
        IllegalMove: too late, no signer of the digest, a second time, or it has ended.
    """
    if verdict(challenge, now) != Undecided() or now > challenge.defence_ends:
        raise IllegalMove("the time to defend is over")
    if signer not in challenge.signers:
        raise IllegalMove(f"{signer} did not sign the digest")
    if any(signer == one for one, _ in challenge.defences):
        raise IllegalMove(f"{signer} defends already")
    return replace(challenge, defences=(*challenge.defences, (signer, Result.OPEN)))


def resolved(challenge: Challenge, signer: Address, result: Result) -> Challenge:
    """The challenge once the game of `signer` is over.

    Raises:
        IllegalMove: it has no open game.
    """
    if (signer, Result.OPEN) not in challenge.defences or result is Result.OPEN:
        raise IllegalMove(f"{signer} has no open game to end")
    changed = ((one, result if one == signer else held) for one, held in challenge.defences)
    return replace(challenge, defences=tuple(changed))


def verdict(challenge: Challenge, now: int) -> Verdict:
    """How the challenge stands: one won defence is enough, and no defence at all is none."""
    won = (signer for signer, result in challenge.defences if result is Result.WON)
    winner = next(won, None)
    if winner is not None:
        return Standing(winner)
    is_open = any(result is Result.OPEN for _, result in challenge.defences)
    if is_open or now <= challenge.defence_ends:
        return Undecided()
    return Fallen()


def settlement(challenge: Challenge, ending: Ending) -> Settlement:
    """Who pays whom when a challenge has ended.

    A signer that was slashed for the digest before is not slashed again: that is the vault's caller
    to know, here everybody is named.
    """
    stakes, challenger = challenge.stakes, challenge.challenger
    paid: dict[Address, int] = {}
    held = stakes.challenger_bond + stakes.defender_bond * len(challenge.defences)
    for signer, result in challenge.defences:
        is_lost = result in (Result.LOST_BY_TIME, Result.LOST_BY_FACT)
        payee, share = (challenger, 2) if is_lost else (signer, 1)
        paid[payee] = paid.get(payee, 0) + stakes.defender_bond // share
    match ending:
        case Standing(winner):
            paid[winner] = paid.get(winner, 0) + stakes.challenger_bond // 2
        case Fallen() | FallenElsewhere():
            paid[challenger] = paid.get(challenger, 0) + stakes.challenger_bond
        case _:
            assert_never(ending)
    slashes = tuple(
        Slash(signer, stakes.seat_stake, stakes.seat_stake // 2)
        for signer in _convicted(challenge, ending)
    )
    return Settlement(paid, held - sum(paid.values()), slashes)


def _convicted(challenge: Challenge, ending: Ending) -> tuple[Address, ...]:
    match ending:
        case Fallen():
            return challenge.signers
        case Standing() | FallenElsewhere():
            return tuple(
                signer for signer, result in challenge.defences if result is Result.LOST_BY_FACT
            )
    assert_never(ending)
