"""`nesa model list|show`: what is on offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.table import Table

from nesa.cli.output import console, json_option, safe, show
from nesa.cli.risk import ASSUMED, risk_words, stake_words
from nesa.cli.session import Target, connected, network_options
from nesa.cli.text import printable
from nesa.client.cards import Model
from nesa.client.client import Client
from nesa.client.payment import in_nes
from nesa.client.ranges import representable
from nesa.models.card import AnyCard, ClassifierCard, TensorCard
from nesa.protocol.errors import InvalidInput, NesaError


@click.command("list", epilog="Example: nesa model list --json")
@network_options
@json_option
def list_models(target: Target, as_json: bool) -> None:
    """List every registered version whose card can be read."""
    found = connected(target, lambda client: client.models())
    if as_json:
        show({"models": [_line(one) for one in found]}, as_json=True)
        return
    table = Table("name", "answers", "version", box=None)
    for one in found:
        table.add_row(safe(one.name), safe(_answers(one.card)), f"0x{one.version_id.hex()}")
    console().print(table)


@click.command("show", epilog="Example: nesa model show breast-cancer-mlp")
@click.argument("name")
@network_options
@json_option
def show_model(target: Target, name: str, as_json: bool) -> None:
    """Show one registered version: what it takes, what it costs, how good it is."""
    details = dict(connected(target, lambda client: _details(client, name)))
    if as_json:
        show(details, as_json=True)
        return
    sample = details.pop("sample")
    details["features"] = [f"{one['name']} [{one['unit']}]" for one in details["features"]]
    show(details, as_json=False)
    if sample is not None:
        # Outside of the table, which would wrap a line that is there to be copied.
        row = ",".join(f"{number:.12g}" for number in sample)
        click.echo(f"\nTo try it: nesa query {printable(name)} {row}")


async def _details(client: Client, name: str) -> Mapping[str, Any]:
    """What is known of a version, its features with the range that the model tells apart."""
    found = await client.model(name)
    registry = client.contracts.registry
    offer = await registry.offer(found.version_id, at="latest")
    card = found.card
    return {
        **_line(found),
        "title": card.title,
        "description": card.description,
        **_answer_facts(card),
        "inputs": card.input_edge.elements,
        "features": [
            {**feature.model_dump(), "low": low, "high": high}
            for feature in card.features
            for low, high in [representable(card, feature)]
        ],
        **_key_facts(card),
        "sample": await _sample(client, found),
        "shards": offer.shards,
        "price": f"{in_nes(offer.price)} a shard and replica",
        "proof_price": f"{in_nes(offer.proof_price)} a shard",
        "provable": offer.provable,
        "risk": await _risk(client, found),
        "stake": stake_words(await client.lost_by_a_lie()),
        "developer": await registry.developer_of(found.version_id, at="latest"),
        "admission": await registry.admission_of(found.version_id, at="latest") or "everybody",
    }


async def _risk(client: Client, found: Model) -> str:
    try:
        return risk_words(await client.draw_risk(found, corrupt=ASSUMED))
    except InvalidInput:
        return "too few seats for a committee"


def _key_facts(card: AnyCard) -> dict[str, Any]:
    """Whose key a model is under, if any."""
    mark = card.equivariance
    return {} if mark is None else {"key": f"{mark.key}, epoch {mark.epoch}"}


async def _sample(client: Client, found: Model) -> list[float] | None:
    if found.card.equivariance is not None:
        return None  # its rows are encoded
    try:
        return await client.sample(found)
    except NesaError:
        return None  # a model may be asked without its test rows


def _line(found: Model) -> dict[str, Any]:
    version = f"0x{found.version_id.hex()}"
    return {"name": found.name, "version": version, "location": found.location}


def _answers(card: AnyCard) -> str:
    """What a model answers with."""
    match card:
        case ClassifierCard():
            return " / ".join(card.labels)
        case TensorCard():
            return f"{card.task} of {card.output_edge.elements} numbers"


def _answer_facts(card: AnyCard) -> dict[str, Any]:
    """What a model answers with, and how good that was measured to be."""
    match card:
        case ClassifierCard(accuracy=accuracy) if card.equivariance is not None:
            compared = f"equal to the plain model's on {accuracy.test_rows} random inputs"
            return {"labels": list(card.labels), "accuracy": f"that of the plain model; {compared}"}
        case ClassifierCard(accuracy=accuracy):
            measured = f"{accuracy.integer_model:.4f} of {accuracy.test_rows} test rows"
            if accuracy.proved is not None:
                share, count = accuracy.proved, accuracy.proved_rows
                measured += f", {share:.4f} of {count} proved on a chain"
            return {"labels": list(card.labels), "accuracy": measured}
        case TensorCard(fidelity=fidelity):
            encoded = card.equivariance is not None
            compared, rows = ("plain", "random inputs") if encoded else ("float", "test rows")
            return {
                "answers": _answers(card),
                "tokenizer": None if card.tokens is None else card.tokens.tokenizer,
                "fidelity": f"cosine to the {compared} model {fidelity.mean_cosine:.4f}, at least "
                f"{fidelity.lowest_cosine:.4f}, on {fidelity.test_rows} {rows}",
            }
