"""Gives accounts of people what they need on a development network: NES and coin for gas."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Network
from nesa.devnet.accounts import open_account
from nesa.devnet.foundation import SUPPLIER, hand_out
from nesa.devnet.layout import Layout
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address, Amount

WEI_A_COIN: Final = 10**18


@dataclass(frozen=True, slots=True)
class Gift:
    """What an account is given: units of NES, and wei for gas."""

    nes: Amount
    wei: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an account holds afterwards."""

    account: Address
    nes: Amount
    wei: int


async def fund(folder: Path, account: Address, gift: Gift) -> Holdings:
    """Give `account` NES from the network's supply, and coin from nowhere.

    Raises:
        InvalidConfiguration: no network was started in `folder`.
        Unavailable: its chain does not answer.
        Rejected: the supply is used up.
    """
    layout = Layout(folder.resolve())
    if not layout.network.is_file():
        raise InvalidConfiguration(
            f"no network runs from {folder}; start one with `nesa devnet up --dir {folder}`"
        )
    network = Network.read(layout.network)
    supplier = await asyncio.to_thread(open_account, layout.keys(SUPPLIER), SUPPLIER)
    async with await Connection.open(network.rpc_url, network.contracts) as connection:
        if gift.nes:
            await hand_out(connection, supplier, [(account, gift.nes)])
        wei = await connection.balance(account) + gift.wei
        await connection.request_once("anvil_setBalance", account, hex(wei))
        held = await Contracts(connection).token.balance_of(account, at="latest")
    return Holdings(account, held, wei)
