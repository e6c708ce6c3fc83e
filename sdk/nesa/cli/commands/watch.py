"""`nesa watch`"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from rich.console import RenderableType

from nesa.cli.output import console, json_option, pairs, plain
from nesa.cli.quantities import in_coins
from nesa.cli.session import Target, connected, network_options
from nesa.cli.stages import describe
from nesa.client.answers import SubmittedQuery
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.client.watching import Expired, Fulfilled, Stage
from nesa.protocol.ids import QueryId


@click.command(epilog="Example: nesa watch 7 --to-the-end")
@click.argument("query_id", type=click.IntRange(min=1))
@click.option("--to-the-end", is_flag=True, help="Go on after the answer, until the query closes.")
@click.option("--refund", is_flag=True, help="Have the fee go back once the deadline has passed.")
@network_options
@json_option
def watch(target: Target, query_id: int, to_the_end: bool, refund: bool, as_json: bool) -> None:
    """Follow query QUERY_ID through its life; with --json one document a line."""

    async def follow(client: Client) -> None:
        submitted = await client.find(QueryId(query_id))
        if (wei := await client.gas_held_for(submitted)) and not as_json:
            console().print(waiting_gas(wei))
        async for stage in client.watch(submitted):
            _tell(stage, as_json=as_json)
            if isinstance(stage, Expired) and refund:
                told = await _refund(client, submitted)
                _print(told, pairs(told), as_json=as_json)
            elif refund and (words := nothing_to_refund(stage)):
                _print({"refunded": None}, words, as_json=as_json)
            if isinstance(stage, Fulfilled | Expired) and not to_the_end:
                return

    connected(target, follow)


def waiting_gas(wei: int) -> str:
    """Coin that waits for a reporter, for a person."""
    return (
        f"{in_coins(wei)} coins wait for whoever reports it; when nobody answers, --refund and "
        "`nesa withdraw` bring back what you left"
    )


def nothing_to_refund(stage: Stage) -> str | None:
    """Why no fee goes back after `stage`; None while it may."""
    if isinstance(stage, Fulfilled):
        return "the query is answered: there is nothing to refund"
    return None


async def _refund(client: Client, submitted: SubmittedQuery) -> dict[str, str]:
    """What came of it: only one's own fee is paid out, others' becomes their credit."""
    amount, to = await client.refund(submitted), submitted.query.requester
    told = {"refunded": in_nes(amount), "to": str(to)}
    return told if to == client.address else {**told, "paid_out_by": f"nesa withdraw {to}"}


def _tell(stage: Stage, *, as_json: bool) -> None:
    document = {"stage": type(stage).__name__, **plain(stage)}
    _print(document, describe(stage), as_json=as_json)


def _print(document: Mapping[str, Any], words: RenderableType, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document))
    else:
        console().print(words)
