"""`nesa summon`"""

from __future__ import annotations

import click

from nesa.cli.commands.answer import QueryName
from nesa.cli.output import json_option, show
from nesa.cli.session import Target, connected, network_options
from nesa.client.client import Client
from nesa.client.summoning import CalledMember
from nesa.protocol.ids import Digest, QueryId


@click.command(epilog="Example: nesa summon 17 0")
@click.argument("query", type=QueryName())
@click.argument("shard", type=click.IntRange(0))
@network_options
@json_option
def summon(target: Target, query: QueryId | Digest, shard: int, as_json: bool) -> None:
    """Call the members of a SHARD on which QUERY seems to wait to answer on chain.

    A member that does not answer is found absent: a spare gets its slot, and three absences end
    its seat. Your key pays the gas and a bond for each; who answers keeps the bond, the others come
    back. Members call each other where any of them speaks and has a budget, so this is for a shard
    that is silent as a whole. It waits until the time to answer is over.
    """

    async def call(client: Client) -> tuple[CalledMember, ...]:
        return await client.summon(query, shard)

    called = connected(target, call)
    if as_json:
        show({"members": called}, as_json=True)
        return
    for one in called:
        said = "absent, a spare gets the slot" if one.is_absent else "answered, and has the bond"
        click.echo(f"{one.position}  {one.operator}  {said}")
