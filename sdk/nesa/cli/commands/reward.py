"""`nesa reward`"""

from __future__ import annotations

import click

from nesa.cli.commands.answer import QueryName
from nesa.cli.output import json_option, show
from nesa.cli.session import Target, connected, network_options
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.protocol.ids import Amount, Digest, QueryId


@click.command(epilog="Example: nesa reward 17 --json")
@click.argument("query", type=QueryName())
@network_options
@json_option
def reward(target: Target, query: QueryId | Digest, as_json: bool) -> None:
    """Have everybody who was paid for QUERY credited with new NES.

    QUERY is a number or the transaction that asked it, and has to be final: its windows are over
    and nobody disputes it. It works once for a query, and your key pays the gas. `nesa withdraw`
    pays the credits out. With --json sums are units, 1000000000 to the NES.
    """

    async def credit(client: Client) -> Amount:
        return await client.reward(query)

    credited = connected(target, credit)
    if as_json:
        show({"credited": credited}, as_json=True)
        return
    show({"credited": in_nes(credited)}, as_json=False)
