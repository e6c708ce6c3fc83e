"""`nesa answer`"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import click

from nesa.cli.output import json_option
from nesa.cli.resuming import keeping, key_file, read_content_key
from nesa.cli.session import Target, connected, network_options
from nesa.cli.showing import show_answer, tell_wait
from nesa.cli.split_queries import finish_with, read_split, require_middle, split_options
from nesa.cli.user_keys import read_user_key, user_key_options
from nesa.client.answers import Answer
from nesa.client.client import Client
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Digest, QueryId
from nesa.protocol.queries import Assurance, Privacy


class QueryName(click.ParamType):
    """A query's number, or the 0x-prefixed hash of the transaction that asked it."""

    name = "query"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> QueryId | Digest:
        """The number or the hash; anything else is wrong usage."""
        if value.isascii() and value.isdigit() and int(value) > 0:
            return QueryId(int(value))
        if re.fullmatch("0x[0-9a-fA-F]{64}", value):
            return Digest(bytes.fromhex(value[2:]))
        self.fail(f"{value!r} is neither a query's number nor a transaction's hash", param, ctx)


@click.command(epilog="Example: nesa answer 7 --content-key nesa-query-7.key")
@click.argument("query", type=QueryName())
@click.option(
    "--content-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the key of a sealed query, as `nesa query` leaves it when it is interrupted.",
)
@click.option(
    "--early", is_flag=True, help="Show a CHALLENGED answer while it can still be disputed."
)
@split_options
@click.option("--input", "input_", metavar="INPUT", help="For --split: what was asked about.")
@user_key_options
@network_options
@json_option
def answer(
    target: Target,
    query: QueryId | Digest,
    content_key: Path | None,
    early: bool,
    split: Path | None,
    middle: Path | None,
    input_: str | None,
    ee_key: Path | None,
    ee_password_file: Path | None,
    as_json: bool,
) -> None:
    """Wait for the answer of QUERY, which was asked before, and show it.

    QUERY is its number, or the hash of the transaction that asked it. A CHALLENGED answer is waited
    for until nobody can dispute it any more. Of a split model the answer is what the middle gave;
    with --split, --middle and --input it is that of the whole model.
    """
    key = None if content_key is None else read_content_key(content_key)
    held = read_user_key(ee_key, ee_password_file)
    in_parts = read_split(split, middle)
    finish = finish_with(in_parts, input_)

    async def wait(client: Client) -> Answer:
        submitted = await client.find(query, content_key=key, equivariant_key=held)
        asked = submitted.query
        # A proved answer may be public: whether it is, its model says.
        is_hidden = asked.privacy is Privacy.SEALED and asked.assurance is not Assurance.PROVED
        if is_hidden and key is None:
            raise InvalidInput(
                f"query {submitted.query_id} is sealed; name the file with its key, such as "
                f"--content-key {key_file(submitted.query_id)}"
            )
        if in_parts is not None:
            await require_middle(client, in_parts, asked.version_id)
        with keeping(submitted):
            told = None if as_json else partial(tell_wait, submitted)
            return await client.result(submitted, told, early=early)

    show_answer(finish(connected(target, wait)), as_json=as_json)
