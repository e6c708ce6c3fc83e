"""`nesa withdraw`"""

from __future__ import annotations

import click

from nesa.cli.commands.balance import read_account
from nesa.cli.output import json_option, show
from nesa.cli.quantities import in_coins
from nesa.cli.session import Target, connected, network_options
from nesa.client.answers import Balance
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.client.sharing import ClosedSessions
from nesa.protocol.ids import Amount


@click.command(epilog="Example: nesa withdraw 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --json")
@click.argument("account", required=False)
@network_options
@json_option
def withdraw(target: Target, account: str | None, as_json: bool) -> None:
    """Have ACCOUNT paid what is ready of refunds, earnings and new NES, and show what waits.

    Its sessions of queries on shares whose time is over are closed: what is left of their deposits
    comes back, with what it earned in those of others. Coin that it left for reports of queries
    that nobody is paid for comes back, too. Everything goes to ACCOUNT, by default your own key's;
    your key pays the gas. An operator's earnings go to its owner's account. With --json sums of NES
    are units, 1000000000 to the NES, and coins are wei.
    """
    address = None if account is None else read_account(account)

    async def pay(client: Client) -> tuple[Amount, Amount, ClosedSessions, int, Balance]:
        paid, new = await client.withdraw(address), await client.withdraw_emission(address)
        closed = await client.close_sessions(address)
        wei = await client.reclaim_gas(address)
        return paid, new, closed, wei, await client.balance(address)

    paid, new, closed, wei, left = connected(target, pay)
    if as_json:
        sums = {"paid": paid, "new": new, "sessions": closed.paid, "gas": wei}
        show({**sums, "balance": left}, as_json=True)
        return
    show(
        {
            "account": left.address,
            "paid": in_nes(paid),
            "new NES": in_nes(new),
            **({"of sessions": in_nes(closed.paid)} if closed.paid else {}),
            **({"coins of gas deposits": in_coins(wei)} if wei else {}),
            "NES": in_nes(left.nes),
            "credit waiting": in_nes(left.credit_waiting),
        },
        as_json=False,
    )
