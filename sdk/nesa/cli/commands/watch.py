"""`nesa watch`"""

from __future__ import annotations

import json

import click

from nesa.cli.output import console, json_option, plain, show
from nesa.cli.session import Target, connected, network_options
from nesa.cli.stages import describe
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.client.watching import Expired, Fulfilled, Stage
from nesa.protocol.ids import QueryId


@click.command(epilog="Example: nesa watch 7 --to-the-end")
@click.argument("query_id", type=click.IntRange(min=1))
@click.option("--to-the-end", is_flag=True, help="Go on after the answer, until the query closes.")
@click.option("--refund", is_flag=True, help="Take back the fee once the deadline has passed.")
@network_options
@json_option
def watch(target: Target, query_id: int, to_the_end: bool, refund: bool, as_json: bool) -> None:
    """Follow query QUERY_ID through its life; with --json one document a line."""

    async def follow(client: Client) -> None:
        async for stage in client.watch(QueryId(query_id)):
            _tell(stage, as_json=as_json)
            if isinstance(stage, Expired) and refund:
                amount = await client.refund(QueryId(query_id))
                show({"refunded": in_nes(amount)}, as_json=as_json)
            if isinstance(stage, Fulfilled | Expired) and not to_the_end:
                return

    connected(target, follow)


def _tell(stage: Stage, *, as_json: bool) -> None:
    if as_json:
        document = {"stage": type(stage).__name__, **plain(stage)}
        click.echo(json.dumps(document))
    else:
        console().print(describe(stage))
