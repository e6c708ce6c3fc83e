"""`nesa transfer`"""

from __future__ import annotations

import click

from nesa.cli.commands.balance import read_account
from nesa.cli.output import json_option, show
from nesa.cli.quantities import Nes
from nesa.cli.session import Target, connected, network_options
from nesa.client.answers import Balance
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.protocol.ids import Amount


@click.command(epilog="Example: nesa transfer 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 12.5")
@click.argument("account")
@click.argument("amount", type=Nes())
@network_options
@json_option
def transfer(target: Target, account: str, amount: Amount, as_json: bool) -> None:
    """Send AMOUNT NES of your key's account to ACCOUNT. Nobody can take it back.

    With --json sums are units, 1000000000 to the NES.
    """
    receiver = read_account(account)

    async def pay(client: Client) -> Balance:
        await client.transfer(receiver, amount)
        return await client.balance()

    left = connected(target, pay)
    if as_json:
        show({"sent": amount, "to": receiver, "balance": left}, as_json=True)
        return
    show({"sent": in_nes(amount), "to": receiver, "NES left": in_nes(left.nes)}, as_json=False)
