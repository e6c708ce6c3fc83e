"""`nesa grant`"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from nesa.cli.commands.answer import QueryName
from nesa.cli.output import json_option, show
from nesa.cli.resuming import read_content_key
from nesa.cli.session import Target, connected, network_options
from nesa.client.client import Client
from nesa.privacy.grants import ViewGrant, encode_grant
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Digest, QueryId


class ViewKey(click.ParamType):
    """The public key of who may see, 32 bytes in hex."""

    name = "view key"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """The bytes; anything else is wrong usage."""
        if isinstance(value, bytes):
            return value
        if not re.fullmatch("0x[0-9a-fA-F]{64}", value):
            wanted = "0x and 64 digits, as `nesa-miner watchtower init` shows it"
            self.fail(f"{value!r} is no view key; it is {wanted}", param, ctx)
        return bytes.fromhex(value[2:])


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
    path = output or Path(f"nesa-grant-{made.granted.query_id}.json")
    write_grant(path, made)
    show({"query": made.granted.query_id, "grant": path.absolute()}, as_json=as_json)


def write_grant(path: Path, grant: ViewGrant) -> None:
    """Write a grant to a file.

    Raises:
        InvalidConfiguration: it cannot be written.
    """
    try:
        path.write_text(encode_grant(grant), encoding="ascii")
    except OSError as error:
        raise InvalidConfiguration(f"cannot write {path}: {error.strerror}") from error
