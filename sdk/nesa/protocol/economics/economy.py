"""An economy: the parameters of a deployment, and the prices and delays that they are held against.

Sums are NES units, times seconds, shares basis points. Whatever the parameters do not settle is an
assumption of `Environment`, and is chosen against the protocol: work dear, chains slow, people
away.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from nesa.protocol.commitments import quorum
from nesa.protocol.fees import DELIVERY_GAS
from nesa.protocol.ids import Amount
from nesa.protocol.parameters import BPS, QueryParameters, RequestLimits
from nesa.protocol.summons import SummonsRules
from nesa.protocol.versions import MAX_SHARDS

LONGEST_GAME: Final = 26
"""Moves of the longest element game, conviction included; docs/disputes.md has the bound."""

LEAST_REPLICAS: Final = 3
USUAL_REPLICAS: Final = 4
"""Members of a committee, at least and when nobody asks for another number."""

MAX_MEMBER_SLOTS: Final = 32
"""Shards times replicas of a query, at most."""

MAX_ROYALTY_BPS: Final = 2_000
"""The greatest part of a base fee that a developer may ask for."""

YEAR: Final = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Clocks:
    """What a deployment fixes for good, in seconds."""

    epoch: int
    unbonding: int
    maximum_query: int
    credit_window: int


@dataclass(frozen=True, slots=True)
class Environment:
    """What no parameter settles.

    `gas_price` is in NES units a gas; `move_gas` is what a move of a game costs at most, the
    three others a request, a report of one shard and an answer to a summons. `price` is asked for
    one shard and replica, `run_cost` is what running it costs. `missed_bps`: how often an honest
    side of a game misses a move of it; `audit_bps`: the part of all queries that somebody else runs
    again; `corrupt_bps`: the part of `list_length` seats that one party holds. A run, a
    confirmation, a stall of the chain and the absence of an operator last as many seconds at most.
    """

    gas_price: int
    move_gas: int
    request_gas: int
    report_gas: int
    answer_gas: int
    price: Amount
    run_cost: Amount
    yearly_interest_bps: int
    missed_bps: int
    audit_bps: int
    corrupt_bps: int
    list_length: int
    run_seconds: int
    confirmation_seconds: int
    stall_seconds: int
    absence_seconds: int


@dataclass(frozen=True, slots=True)
class Economy:
    """A deployment in its environment. `emission_bps` of a treasury fee is minted on top of it."""

    query: QueryParameters
    limits: RequestLimits
    clocks: Clocks
    summons: SummonsRules
    emission_bps: int
    environment: Environment

    @property
    def challenger_bond(self) -> Amount:
        """What a challenger puts down."""
        return Amount(self.limits.seat_stake * self.limits.challenger_bond_bps // BPS)

    @property
    def defence_penalty(self) -> Amount:
        """What a defence that was lost by time costs."""
        return Amount(self.limits.seat_stake * self.limits.defence_penalty_bps // BPS)

    @property
    def side_gas(self) -> Amount:
        """What one side pays for its half of the longest game."""
        moves = -(-LONGEST_GAME // 2)
        return Amount(moves * self.environment.move_gas * self.environment.gas_price)

    @property
    def longest_dispute(self) -> int:
        """Seconds from a challenge in which the last second is used every time."""
        return self.query.defence_window + LONGEST_GAME * self.query.move_window

    @property
    def largest_fee(self) -> Amount:
        """Fee of a query with as many slots and as much callback gas as one may have."""
        gas = self.limits.max_callback_gas + DELIVERY_GAS
        callback = self.limits.callback_price * gas // 1_000
        return Amount(self.environment.price * MAX_MEMBER_SLOTS + callback)

    @property
    def treasury_bps(self) -> int:
        """What the treasury is left of a base fee when the developer takes all it may."""
        shares = self.query.miners_bps + self.query.oracle_bps + self.query.reviewers_bps
        return BPS - shares - MAX_ROYALTY_BPS

    @property
    def stall(self) -> int:
        """Seconds in which a transaction may fail to arrive: censored first, then confirmed."""
        return self.environment.stall_seconds + self.environment.confirmation_seconds

    def exposed(self, replicas: int) -> Fraction:
        """Most that the open fees of a version may come to."""
        stake = quorum(replicas) * self.limits.seat_stake
        return Fraction(stake * self.limits.exposure_bps, BPS)

    @property
    def most_kept(self) -> Fraction:
        """Part of a fee that others than one shard's members may have earned: 1 - m / 8."""
        return 1 - Fraction(self.query.miners_bps, BPS * MAX_SHARDS)

    def interest(self, amount: int, seconds: int) -> Fraction:
        """What `amount` would have earned elsewhere."""
        return Fraction(amount * self.environment.yearly_interest_bps * seconds, BPS * YEAR)
