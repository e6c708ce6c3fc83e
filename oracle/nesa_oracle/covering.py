"""Whether the coin that waits for a report pays its gas, and how the coin gets to the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from nesa.chain.economy import GasEscrow
from nesa.chain.events import QueryFulfilled, RawLog, decode_event
from nesa.chain.sender import Sender
from nesa.protocol.errors import NesaError
from nesa.protocol.queries import Outcome, Query
from nesa.protocol.report_gas import SETTLING_GAS

WITHDRAWING_GAS: Final = 65_000
"""To be sent all credits."""

WITHDRAWALS_WORTH: Final = 10
"""Credits are sent for once they are so many times what that costs."""

log = structlog.get_logger("nesa_oracle")


def covers(held: int, gas: int, price: int) -> bool:
    """Whether `held` wei pay a report of `gas` at `price` wei each, and what brings them here."""
    return held >= (gas + SETTLING_GAS) * price


def is_worth_settling(held: int, price: int) -> bool:
    """Whether a deposit is more than what it costs to be credited it."""
    return held > SETTLING_GAS * price


def is_worth_withdrawing(credit: int, price: int) -> bool:
    """Whether credits have grown so far that sending for them takes little of them."""
    return credit >= WITHDRAWALS_WORTH * WITHDRAWING_GAS * price


def outcome_in(logs: Sequence[RawLog], query_id: int) -> Outcome | None:
    """The outcome that a report's receipt announces for a query."""
    for event in map(decode_event, logs):
        if isinstance(event, QueryFulfilled) and event.query_id == query_id:
            return event.outcome
    return None


async def settle(escrow: GasEscrow, sender: Sender, query: Query, outcome: Outcome) -> None:
    """Be credited what waits for a report of this oracle, and sent it when it is worth it.

    What fails here fails quietly: the coin waits, and anybody may settle it later.
    """
    try:
        price = await sender.gas_price()
        held = await escrow.held_for(query.query_id, "latest")
        if not is_worth_settling(held, price):
            return
        await sender.send(escrow.settle(query, outcome))
        log.info("gas deposit settled", query=query.query_id, wei=held)
        credit = await escrow.credit_of(sender.address, "latest")
        if is_worth_withdrawing(credit, price):
            await sender.send(escrow.withdraw(sender.address))
            log.info("gas deposits withdrawn", wei=credit)
    except NesaError as error:
        log.warning("gas deposit not settled", query=query.query_id, reason=str(error))
