"""Whether what the court pays is worth the gas of asking for it."""

from __future__ import annotations

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.protocol.errors import ExhaustedResource
from nesa.protocol.ids import ONE_NES
from nesa_miner.disputes.courtroom import Courtroom


class TooLittleToGain(ExhaustedResource):
    """Showing a fault costs more gas than it can bring at the moment."""


async def require_gain(room: Courtroom, reward: int, gas: int, wei_per_nes: int | None) -> None:
    """Returns when `reward`, in NES units, is worth more than `gas` at its present price; see
    `pays_for`.

    Raises:
        TooLittleToGain: it is not.
        Unavailable: the node does not answer.
    """
    if not await pays_for(room.connection, room.contracts, wei_per_nes, reward, gas):
        raise TooLittleToGain(
            f"{gas} gas cost more than the {reward / ONE_NES:g} NES that they bring"
        )


async def pays_for(
    connection: Connection, contracts: Contracts, wei_per_nes: int | None, reward: int, gas: int
) -> bool:
    """Whether `reward`, in NES units, is worth more than `gas` at its present price.

    `wei_per_nes` is what a NES is worth; None takes what the protocol asks for gas.

    Raises:
        Unavailable: the node does not answer.
    """
    gas_price = (await connection.head()).base_fee
    if wei_per_nes is None:
        limits = await contracts.parameters.request_limits("latest")
        # The protocol sells 1,000 gas for `callback_price`; at the base fee that makes a price.
        wei_per_nes = 1_000 * gas_price * ONE_NES // limits.callback_price
    return is_worth_it(reward, gas, gas_price, wei_per_nes, ONE_NES)


def is_worth_it(reward: int, gas: int, wei_per_gas: int, wei_per_nes: int, unit: int) -> bool:
    """Whether `reward`, in NES units of which `unit` make one NES, is more than the gas."""
    return reward * wei_per_nes > gas * wei_per_gas * unit
