"""`nesa grant`"""

from __future__ import annotations

from pathlib import Path

import click

from nesa.cli.commands.answer import QueryName
from nesa.cli.grants import ViewKey, grant_file, write_grant
from nesa.cli.output import json_option, show
from nesa.cli.resuming import read_content_key
from nesa.cli.session import Target, connected, network_options
from nesa.client.client import Client
from nesa.privacy.grants import ViewGrant
from nesa.protocol.ids import Digest, QueryId


@click.command(
    epilog="Example: nesa grant 7 --content-key nesa-query-7.key --to 0x1f9d… --output grant.json"
)
@click.argument("query", type=QueryName())
@click.option(
    "--content-key",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File with the key of the sealed query; `nesa query --keep-key` leaves one.",
)
@click.option("--to", "holder", type=ViewKey(), required=True, help="View key of a watchtower.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; nesa-grant-QUERY.json by default.",
)
@network_options
@json_option
def grant(
    target: Target,
    query: QueryId | Digest,
    content_key: Path,
    holder: bytes,
    output: Path | None,
    as_json: bool,
) -> None:
    """Let the holder of a view key see the sealed QUERY, and challenge its answer.

    The grant is a file for you to send; only the holder can use it. A watchtower reads those in its
    folder grants/.
    """
    key = read_content_key(content_key)

    async def ask(client: Client) -> ViewGrant:
        submitted = await client.find(query, content_key=key)
        return await client.grant_view(submitted, holder)

    made = connected(target, ask)
    path = output or grant_file(made.granted.query_id)
    write_grant(path, made)
    show({"query": made.granted.query_id, "grant": path.absolute()}, as_json=as_json)
