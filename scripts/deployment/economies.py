"""The profiles in the surroundings that they are meant for, as `nesa.protocol.economics` reads."""

from __future__ import annotations

from typing import Final

from nesa.protocol.economics.economy import Clocks, Economy, Environment
from nesa.protocol.ids import ONE_NES, Amount
from scripts.deployment.profiles import DEVNET, HOUR, MINUTE, PUBLIC, Profile

_LOCAL: Final = Environment(
    gas_price=5,
    move_gas=450_000,
    request_gas=175_000,
    report_gas=250_000,
    answer_gas=120_000,
    price=Amount(ONE_NES // 20),
    run_cost=Amount(ONE_NES // 100),
    yearly_interest_bps=2_000,
    missed_bps=500,
    audit_bps=100,
    corrupt_bps=3_333,
    list_length=60,
    run_seconds=5,
    confirmation_seconds=0,
    stall_seconds=5,
    absence_seconds=30,
)

_PUBLIC: Final = Environment(
    gas_price=5,
    move_gas=450_000,
    request_gas=175_000,
    report_gas=250_000,
    answer_gas=120_000,
    price=Amount(ONE_NES // 20),
    run_cost=Amount(ONE_NES // 100),
    yearly_interest_bps=2_000,
    missed_bps=500,
    audit_bps=100,
    corrupt_bps=3_333,
    list_length=60,
    run_seconds=10 * MINUTE,
    confirmation_seconds=15 * MINUTE,
    stall_seconds=30 * MINUTE,
    absence_seconds=12 * HOUR,
)

ENVIRONMENTS: Final = {DEVNET.name: _LOCAL, PUBLIC.name: _PUBLIC}
"""Assumptions, by the profile's name; docs/economics.md says where each comes from."""


def economy(profile: Profile) -> Economy:
    """What is shipped, in the surroundings that it is meant for."""
    clocks = Clocks(
        profile.epoch_seconds,
        profile.unbonding_seconds,
        profile.maximum_query_seconds,
        profile.credit_window,
    )
    environment = ENVIRONMENTS[profile.name]
    return Economy(
        profile.query,
        profile.limits,
        clocks,
        profile.summons,
        profile.emission.share_bps,
        environment,
    )
