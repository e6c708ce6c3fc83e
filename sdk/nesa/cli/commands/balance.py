"""`nesa balance`"""

from __future__ import annotations

import click
from eth_utils.address import is_address, to_checksum_address

from nesa.cli.output import json_option, show
from nesa.cli.session import Target, connected, network_options
from nesa.client.answers import Balance
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address

_WEI: int = 10**18


@click.command(epilog="Example: nesa balance 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --json")
@click.argument("account", required=False)
@network_options
@json_option
def balance(target: Target, account: str | None, as_json: bool) -> None:
    """Show what ACCOUNT holds and what the market owes it; by default your own key's account."""
    address = None if account is None else read_account(account)

    async def read(client: Client) -> Balance:
        return await client.balance(address)

    found = connected(target, read)
    if as_json:
        show({"balance": found}, as_json=True)
        return
    show(
        {
            "account": found.address,
            "NES": in_nes(found.nes),
            "credit ready": in_nes(found.credit_ready),
            "credit waiting": in_nes(found.credit_waiting),
            "coins for gas": f"{found.coins / _WEI:.6f}",
        },
        as_json=False,
    )


def read_account(text: str) -> Address:
    """An account in a command.

    Raises:
        InvalidInput: it is none.
    """
    if not is_address(text):
        raise InvalidInput(f"{text} is no account; give 0x and 40 hexadecimal digits")
    return Address(to_checksum_address(text))
