"""Parameters of a whole deployment, one profile for local chains and one for public ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.parameters import QueryParameters, RequestLimits
from nesa.protocol.summons import SummonsRules

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

LOCAL_CHAINS: Final = frozenset({1337, 31337})
"""Chain ids of chains that live on one machine."""

GENESIS_SUPPLY: Final = Amount(400_000_000 * ONE_NES)
"""NES in being from the start; the cap is 10**9 NES, the rest is for the reward emitter."""


@dataclass(frozen=True, slots=True)
class Emission:
    """What `RewardEmitter` may mint: all budgets together are twice the first half-life's."""

    share_bps: int
    period_seconds: int
    halving_periods: int
    first_budget: Amount


@dataclass(frozen=True, slots=True)
class Profile:
    """Constructor arguments that differ from chain to chain; times in seconds."""

    name: str
    query: QueryParameters
    limits: RequestLimits
    epoch_seconds: int
    unbonding_seconds: int
    maximum_query_seconds: int
    credit_window: int
    summons: SummonsRules
    emission: Emission


DEVNET: Final = Profile(
    name="devnet",
    query=QueryParameters(
        miners_bps=6_500,
        oracle_bps=1_000,
        royalty_bps=0,
        reviewers_bps=300,
        oracle_turn=8,
        oracle_turns=2,
        prover_turn=30,
        prover_turns=2,
        answer_window=MINUTE,
        claim_window=30,
        dispute_window=2 * MINUTE,
        defence_window=MINUTE,
        move_window=30,
    ),
    limits=RequestLimits(
        callback_price=Amount(10_000),
        max_callback_gas=2_000_000,
        min_seats=4,
        seat_stake=Amount(1_000 * ONE_NES),
        exposure_bps=2_000,
        max_replicas=8,
        challenger_bond_bps=1_000,
        defence_penalty_bps=1_000,
    ),
    epoch_seconds=10,
    unbonding_seconds=5 * MINUTE,
    maximum_query_seconds=280,
    credit_window=2 * MINUTE,
    summons=SummonsRules(
        patience=15,
        answer_window=15,
        bond=Amount(ONE_NES // 100),
        period=40,
        jail_misses=3,
        jail_periods=7,
    ),
    emission=Emission(
        share_bps=5_000,
        period_seconds=10 * MINUTE,
        halving_periods=1_000,
        first_budget=Amount(100_000 * ONE_NES),
    ),
)

PUBLIC: Final = Profile(
    name="public",
    query=QueryParameters(
        miners_bps=6_500,
        oracle_bps=1_000,
        royalty_bps=0,
        reviewers_bps=300,
        oracle_turn=5 * MINUTE,
        oracle_turns=4,
        prover_turn=20 * MINUTE,
        prover_turns=4,
        answer_window=2 * HOUR,
        claim_window=6 * HOUR,
        dispute_window=2 * DAY,
        defence_window=2 * DAY,
        move_window=4 * HOUR,
    ),
    limits=RequestLimits(
        callback_price=Amount(10_000),
        max_callback_gas=2_000_000,
        min_seats=7,
        seat_stake=Amount(10_000 * ONE_NES),
        exposure_bps=2_000,
        max_replicas=8,
        challenger_bond_bps=1_000,
        defence_penalty_bps=1_000,
    ),
    epoch_seconds=HOUR,
    unbonding_seconds=7 * DAY,
    maximum_query_seconds=4 * DAY,
    credit_window=2 * DAY,
    summons=SummonsRules(
        patience=15 * MINUTE,
        answer_window=50 * MINUTE,
        bond=Amount(ONE_NES // 100),
        period=DAY,
        jail_misses=3,
        jail_periods=7,
    ),
    emission=Emission(
        share_bps=5_000,
        period_seconds=DAY,
        halving_periods=4 * 365,
        first_budget=Amount(200_000 * ONE_NES),
    ),
)

PROFILES: Final = {profile.name: profile for profile in (DEVNET, PUBLIC)}


def choose_profile(chain_id: int, name: str | None = None) -> Profile:
    """The profile of that name, else the one that suits the chain.

    Raises:
        InvalidInput: the devnet profile on a chain that is not local.
    """
    local = chain_id in LOCAL_CHAINS
    profile = PROFILES[name or (DEVNET.name if local else PUBLIC.name)]
    if profile is DEVNET and not local:
        raise InvalidInput(
            f"chain {chain_id} is no local chain: its windows must not be seconds; "
            "deploy with --profile public"
        )
    return profile
