"""What a wrong answer costs its authors, and what it must be worth before it pays.

A prize is what somebody outside gives for a wrong answer, in NES units. Of a slash only what hurts
the liars for certain counts: what is credited may go to a friend, and the rest may be delegated to
them, except for what they must own.
"""

from __future__ import annotations

from fractions import Fraction
from typing import assert_never

from nesa.protocol.commitments import quorum
from nesa.protocol.economics.economy import Economy
from nesa.protocol.errors import InvalidInput
from nesa.protocol.parameters import BPS, RequestLimits
from nesa.protocol.queries import Assurance
from nesa.protocol.risk import ShardSeats, at_least, corrupt_seats
from nesa.protocol.slashing import OWN, REWARD


def lost(limits: RequestLimits, replicas: int) -> Fraction:
    """What a lying quorum of as many members loses of its own at least: (z - w) q S."""
    return (OWN - REWARD) * quorum(replicas) * limits.seat_stake


def rewarded(limits: RequestLimits, replicas: int) -> Fraction:
    """What of a lying quorum's stakes is credited to those whom the lie cost: w q S."""
    return REWARD * quorum(replicas) * limits.seat_stake


def safe_prize(
    limits: RequestLimits, replicas: int, audited: Fraction, assurance: Assurance
) -> Fraction:
    """Prize up to which a quorum that lies loses, when this part of all queries is run again.

    AGREED delivers at once, so its prize is won whatever happens later: V = a (z - w) q S.
    CHALLENGED delivers what nobody could overturn: (1 - a) V = a (z - w) q S.

    Raises:
        InvalidInput: no part below the whole, or an assurance that no stake stands behind.
    """
    if not 0 <= audited < 1:
        raise InvalidInput(f"{audited} of all queries are no part of them; give 0 to below 1")
    loss = audited * lost(limits, replicas)
    match assurance:
        case Assurance.AGREED:
            return loss
        case Assurance.CHALLENGED:
            return loss / (1 - audited)
        case Assurance.PROVED:
            raise InvalidInput("nobody can lie in a proof, whatever the answer is worth")
    assert_never(assurance)


def least_audit(limits: RequestLimits, replicas: int, prize: int, assurance: Assurance) -> Fraction:
    """Part of all queries that must be run again before a lie for this prize loses.

    More than 1 means that no audit makes it lose: an AGREED answer worth more than what is lost.

    Raises:
        InvalidInput: an assurance that no stake stands behind.
    """
    at_stake = lost(limits, replicas)
    match assurance:
        case Assurance.AGREED:
            return prize / at_stake
        case Assurance.CHALLENGED:
            return prize / (at_stake + prize)
        case Assurance.PROVED:
            raise InvalidInput("nobody can lie in a proof, whatever the answer is worth")
    assert_never(assurance)


def least_lie_rate(economy: Economy, replicas: int) -> Fraction:
    """Lies in all shards that are run again, from which on a watcher lives on its rewards."""
    return economy.environment.run_cost / rewarded(economy.limits, replicas)


def largest_stake_step(economy: Economy) -> Fraction:
    """Factor by which governance may raise or lower the seat stake at once.

    Older seats have locked the older stake, and open queries were let in under it, while the cap
    and a slash go by the stake of the moment. Above this factor the open fees of a version may
    exceed what a lying quorum loses, or what honest work kept of them what its slash repays:
    min(z - w, w / k) / e.
    """
    return min(OWN - REWARD, REWARD / economy.most_kept) * BPS / economy.limits.exposure_bps


def capture_cost(economy: Economy, replicas: int) -> Fraction:
    """Fees that a client pays away for one captured query, in fees of that query.

    It asks a version of its own, through oracles of its own, until its own seats are a quorum by
    chance: p of all draws. What they can stall costs nothing but time. Of the fee (1) of an honest
    answer, 1 - s of all draws, it gets back royalty y, the oracles' o and c of the members' m, of a
    captured one all of m: ((1 - s) (1 - o - y - c m) + p (1 - o - y - m)) / p. Here c is the own
    part of committees that answer honestly, which is less than that of all seats.
    """
    share = Fraction(economy.environment.corrupt_bps, BPS)
    shard = ShardSeats(
        economy.environment.list_length, corrupt_seats(economy.environment.list_length, share)
    )
    needed = quorum(replicas)
    captured = at_least(shard, replicas, needed)
    others = Fraction(economy.treasury_bps + economy.query.reviewers_bps, BPS)
    members = Fraction(economy.query.miners_bps, BPS)
    honest = sum(
        (at_least(shard, replicas, own) - at_least(shard, replicas, own + 1))
        * (others + members * (replicas - own) / replicas)
        for own in range(replicas - needed + 1)
    )
    return honest / captured + others
