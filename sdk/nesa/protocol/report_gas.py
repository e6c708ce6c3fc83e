"""Gas of what an oracle sends for a query, so that a client can leave coin for it."""

from __future__ import annotations

from typing import Final

from nesa.protocol.queries import Assurance

SETTLING_GAS: Final = 65_000
"""To be credited a query's deposit, from `benchmarks/economy.py`."""

PRICE_HEADROOM: Final = 2
"""How many times the price of the moment a deposit pays; six full blocks double the base fee."""

_REPORT_GAS: Final = 110_000
_GAS_A_SHARD: Final = 15_000
_GAS_A_MEMBER: Final = 35_000
"""Above every report of an agreed answer in `benchmarks/results/gas.md`, first-time costs too."""

_PROVED_GAS: Final = 1_500_000
_GAS_A_PROOF: Final = 2_000_000


def agreed_gas(shards: int, replicas: int, callback_gas: int = 0) -> int:
    """What a report without proofs takes at most; `callback_gas` where it calls the requester."""
    fixed = _REPORT_GAS + _GAS_A_SHARD * shards
    return fixed + _GAS_A_MEMBER * shards * replicas + _passed_on(callback_gas)


def proved_gas(shards: int, callback_gas: int = 0) -> int:
    """The limit, not the price, that a report with proofs is sent with. An estimate is not to be
    trusted there, because with too little gas a verifier fails in a way that looks like a bad
    proof."""
    return _PROVED_GAS + _GAS_A_PROOF * shards + _passed_on(callback_gas)


def wanted_deposit(assurance: Assurance, shards: int, replicas: int, price: int) -> int:
    """Wei that pay the report of a query without a callback, and bring them to the reporter, at
    `PRICE_HEADROOM` times `price` wei a gas. `nesa_oracle` asks for no more."""
    proved = assurance is Assurance.PROVED
    gas = proved_gas(shards) if proved else agreed_gas(shards, replicas)
    return (gas + SETTLING_GAS) * price * PRICE_HEADROOM


def _passed_on(callback_gas: int) -> int:
    """A call passes on 63 parts of 64 of the gas that is left."""
    return callback_gas * 65 // 63
