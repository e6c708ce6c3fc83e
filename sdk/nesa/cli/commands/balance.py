"""`nesa balance`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
from eth_utils.address import is_address, to_checksum_address

from nesa.cli.output import json_option, show
from nesa.cli.quantities import in_coins
from nesa.cli.session import Target, connected, network_options
from nesa.client.answers import Balance
from nesa.client.client import Client
from nesa.client.gas_deposits import GasDeposit
from nesa.client.payment import in_nes
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address
from nesa.protocol.queries import QueryStatus

_WEI: int = 10**18


@click.command(epilog="Example: nesa balance 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --json")
@click.argument("account", required=False)
@network_options
@json_option
def balance(target: Target, account: str | None, as_json: bool) -> None:
    """Show what ACCOUNT holds and what the market owes it; by default your own key's account.

    Coin that it left for reports and nobody took yet is shown too. With --json NES are units,
    1000000000 to the NES, and coins are wei.
    """
    address = None if account is None else read_account(account)

    async def read(client: Client) -> tuple[Balance, tuple[GasDeposit, ...], int]:
        deposits = await client.gas_deposits(address)
        return await client.balance(address), deposits, await client.gas_credit(address)

    found, deposits, gas_credit = connected(target, read)
    if as_json:
        escrow = {"gas_deposits": deposits, "gas_credit": gas_credit}
        show({"balance": found, **escrow}, as_json=True)
        return
    show(
        {
            "account": found.address,
            "NES": in_nes(found.nes),
            "credit ready": in_nes(found.credit_ready),
            "credit waiting": in_nes(found.credit_waiting),
            "coins for gas": f"{found.coins / _WEI:.6f}",
            **gas_in_words(deposits, gas_credit),
        },
        as_json=False,
    )


def gas_in_words(deposits: Sequence[GasDeposit], credit: int) -> Mapping[str, str]:
    """What waits in the escrow of gas, and how it comes back; nothing where nothing does."""
    found = {f"gas for query {one.query_id}": _deposit_in_words(one) for one in deposits}
    if credit:
        found["gas credit"] = f"{in_coins(credit)} coins; `nesa withdraw` sends them"
    return found


def _deposit_in_words(deposit: GasDeposit) -> str:
    sum_ = f"{in_coins(deposit.wei)} coins"
    if deposit.is_reclaimable:
        return f"{sum_} of a query that is {deposit.status.name}; `nesa withdraw` takes them back"
    if deposit.status is QueryStatus.OPEN:
        return f"{sum_} for its reporter; they come back with the fee when nobody answers"
    return f"{sum_}, earned by its reporter"


def read_account(text: str) -> Address:
    """An account in a command.

    Raises:
        InvalidInput: it is none.
    """
    if not is_address(text):
        raise InvalidInput(f"{text} is no account; give 0x and 40 hexadecimal digits")
    return Address(to_checksum_address(text))
