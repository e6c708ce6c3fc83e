"""`nesa answer`"""

from __future__ import annotations

from pathlib import Path

import click

from nesa.cli.commands.query import show_answer
from nesa.cli.output import json_option
from nesa.cli.resuming import keeping, read_content_key
from nesa.cli.session import Target, connected, network_options
from nesa.client.answers import Answer
from nesa.client.client import Client
from nesa.protocol.ids import QueryId


@click.command(epilog="Example: nesa answer 7 --content-key nesa-query-7.key")
@click.argument("query_id", type=click.IntRange(min=1))
@click.option(
    "--content-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the key of a sealed query, as `nesa query` leaves it when it is interrupted.",
)
@network_options
@json_option
def answer(target: Target, query_id: int, content_key: Path | None, as_json: bool) -> None:
    """Wait for the answer of QUERY_ID, which was asked before, and show it."""
    key = None if content_key is None else read_content_key(content_key)

    async def wait(client: Client) -> Answer:
        submitted = await client.find(QueryId(query_id), content_key=key)
        with keeping(submitted):
            return await client.result(submitted)

    show_answer(connected(target, wait), as_json=as_json)
