"""A challenge of one signed digest: who may still act, how it ends, and who pays whom.

A challenge has a game for each signer that defends the digest (`nesa.models.disputes`). Here a game
is no more than its result. Signers answer with their stake, so only the challenger deposits. Sums
are NES units; shares are rounded down for whoever is paid, and the rest is burned. docs/disputes.md
has the table that `settlement` is; `DisputeCourt` does the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias, assert_never

from nesa.protocol.errors import IllegalMove
from nesa.protocol.ids import Address
from nesa.protocol.slashing import credited


class Result(Enum):
    """How the game of one defence stands."""

    OPEN = "open"
    WON = "won"
    LOST_BY_TIME = "lost by time"
    LOST_BY_FACT = "lost by fact"


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is at stake: the challenger's bond, the penalty of a defence that runs out of time, and
    the stake of a seat."""

    bond: int
    penalty: int
    seat_stake: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenger against one digest of these `signers`.

    Defences are taken until `defence_ends`, in seconds of the chain's clock; `defences` keeps them
    in the order in which they came. `requester` asked the query.
    """

    challenger: Address
    requester: Address
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
    """Stake to take from a signer, as far as it is there.

    Of what is credited of it the requester gets what it is `owed`, the challenger the rest.
    """

    signer: Address
    amount: int
    owed: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of the challenger's bond, and who is slashed."""

    credits: Mapping[Address, int]
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


def settlement(
    challenge: Challenge,
    ending: Ending,
    kept: int = 0,
    convicted: Collection[Address] = (),
    stakes: Mapping[Address, int] | None = None,
    earned: int = 0,
) -> Settlement:
    """Who pays whom in a challenge that has ended, over its whole course.

    `kept` is what honest work kept of the query's fee when the digest fell: the requester gets it
    back out of the slashes. Signers who are `convicted` of another challenge or of equivocation
    lost their seat's stake for this shard before, and do not lose it twice. `stakes` is what each
    signer has left when a digest falls, nothing of it delegated; at least what is due from those
    whom it does not name.
    What no seat is left to repay comes out of the bond, as far as games that were lost by a fact
    have `earned` the challenger more; where the digest fell in another challenge, `kept` is what
    that one left.
    """
    bond, left = challenge.stakes.bond, stakes or {}
    slashes = tuple(_of_games(challenge, convicted))
    match ending:
        case Standing(winner):
            return Settlement({winner: bond // 2}, bond - bond // 2, slashes)
        case FallenElsewhere():
            return Settlement(_bond_of(challenge, kept, earned), 0, slashes)
        case Fallen():
            spared = {*convicted, *_convicted_in(challenge)}
            fall, owed = _of_a_fall(challenge, kept, spared, left)
            return Settlement(_bond_of(challenge, owed, earned), 0, (*slashes, *fall))
    assert_never(ending)


def _bond_of(challenge: Challenge, owed: int, earned: int) -> dict[Address, int]:
    back = min(owed, challenge.stakes.bond, earned)
    return {challenge.requester: back, challenge.challenger: challenge.stakes.bond - back}


def _convicted_in(challenge: Challenge) -> Iterator[Address]:
    return (signer for signer, result in challenge.defences if result is Result.LOST_BY_FACT)


def _of_games(challenge: Challenge, convicted: Collection[Address]) -> Iterator[Slash]:
    stakes = challenge.stakes
    for signer, result in challenge.defences:
        if result is Result.LOST_BY_TIME:
            yield Slash(signer, stakes.penalty)
        elif result is Result.LOST_BY_FACT and signer not in convicted:
            yield Slash(signer, stakes.seat_stake)


def _of_a_fall(
    challenge: Challenge, owed: int, convicted: Collection[Address], stakes: Mapping[Address, int]
) -> tuple[list[Slash], int]:
    # The first seats repay the requester, as long as their stake is there. The rest is still owed.
    stake = challenge.stakes.seat_stake
    slashes = []
    for signer in challenge.signers:
        if signer not in convicted:
            slashes.append(Slash(signer, stake, owed))
            owed -= min(owed, credited(min(stake, stakes.get(signer, stake))))
    return slashes, owed
