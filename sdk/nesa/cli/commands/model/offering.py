"""`nesa model share|register|register-products|allow|evict|retire`: what is on offer, and who may
serve it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from nesa.chain.admissions import AllowLists
from nesa.chain.contracts import ZERO_ADDRESS
from nesa.chain.unadmitted import UnadmittedSeat
from nesa.cli.commands.balance import read_account
from nesa.cli.commands.model.arguments import FILE, FOLDER
from nesa.cli.commands.release_keys import SECRET, encryption_of
from nesa.cli.option_groups import Command, grouped
from nesa.cli.output import json_option, show
from nesa.cli.quantities import Nes
from nesa.cli.session import Target, connected, network_options
from nesa.client.client import Client
from nesa.client.evicting import EvictionOutcome
from nesa.client.registering import Terms
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address, Amount, VersionId


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may sit in a version, as the options say: everybody, whom the developer lists, or whom
    another contract admits."""

    listed: bool
    named: Address = ZERO_ADDRESS

    def contract(self, client: Client) -> Address:
        """The contract on a network, zero where everybody may sit.

        Raises:
            Unavailable: the deployment has no allow lists.
        """
        return AllowLists.of(client.connection).address if self.listed else self.named


def admission_options(command: Command) -> Command:
    """Options that say who may sit in a version; the command receives `admission`."""

    def call(allow_list: bool, admission: str | None, **others: Any) -> Any:
        if allow_list and admission is not None:
            raise InvalidInput("give either --allow-list or --admission")
        named = ZERO_ADDRESS if admission is None else read_account(admission)
        return command(admission=Admission(allow_list, named), **others)

    options = (
        click.option(
            "--allow-list", is_flag=True, help="Only operators of `nesa model allow` may sit."
        ),
        click.option("--admission", help="Another contract that says who may sit in it."),
    )
    return grouped(command, call, options)


@click.command(epilog="Example: nesa model share models/breast-cancer-mlp --output products")
@click.argument("folder", type=FOLDER)
@click.option("--output", type=FOLDER, required=True, help="Folder of the products' folders.")
@json_option
def share(folder: Path, output: Path, as_json: bool) -> None:
    """Write the products of a compiled model: what members compute in queries on shares.

    Each is a model of its own, one linear layer over digits of a share. Register them all with
    `nesa model register-products`; operators sit in the first. See docs/shared-queries.md.
    """
    from nesa.models.folder import load
    from nesa.privacy.shared.models import write_products
    from nesa.privacy.shared.plan import plan as plan_shares

    public = load(folder)
    found = plan_shares(public.table)
    paths = write_products(found, public, output)
    facts = {"folder": output, "model": public.name, "products": len(paths)}
    show({**facts, "rounds": len(found.rounds)}, as_json=as_json)


@click.command(
    "register-products",
    epilog="Example: nesa model register-products products --price 0.01 --store ./store",
)
@click.argument("folder", type=FOLDER)
@click.option("--price", type=Nes(), required=True, help="NES a product, member.")
@click.option("--royalty", type=click.IntRange(0, 2000), default=1000, help="Basis points.")
@click.option("--store", type=FOLDER, required=True, help="Folder that you serve to miners.")
@click.option("--base-url", help="Where the store answers; by default its path.")
@admission_options
@network_options
@json_option
def register_products(
    target: Target,
    folder: Path,
    price: Amount,
    royalty: int,
    store: Path,
    base_url: str | None,
    admission: Admission,
    as_json: bool,
) -> None:
    """Register the products in FOLDER (`nesa model share`) and list them for sessions.

    The first version is the one that operators sit in and clients ask for; with --allow-list,
    `nesa model allow` lists the operators of that one.
    """
    from nesa.models.publish import publish
    from nesa.privacy.shared.models import written_products

    base = base_url or str(store.resolve())
    published = [(path, publish(path, store, base)) for path in written_products(folder)]

    async def send(client: Client) -> list[str]:
        admitting = admission.contract(client)
        products = [
            (path, Terms(price, Amount(0), royalty, location, admitting))
            for path, location in published
        ]
        versions = await client.developer().register_products(products)
        return [f"0x{version.hex()}" for version in versions]

    versions = connected(target, send)
    show({"version": versions[0], "products": versions}, as_json=as_json)


@click.command(
    epilog="Example: nesa model register models/net --price 0.05 --store ./store "
    "--base-url https://models.example.org"
)
@click.argument("folder", type=FOLDER)
@click.option("--price", type=Nes(), required=True, help="NES a shard, replica.")
@click.option("--proof-price", type=Nes(), default=0.5, show_default=True)
@click.option("--royalty", type=click.IntRange(0, 2000), default=1000, help="Basis points.")
@click.option("--store", type=FOLDER, required=True, help="Folder that you serve to miners.")
@click.option("--base-url", help="Where the store answers; by default its path.")
@admission_options
@click.option("--private", is_flag=True, help="Publish its weights encrypted; see docs.")
@click.option("--secret", type=SECRET, help="With --private: file of the secret, made if absent.")
@click.option("--release-url", help="With --private: where `release-keys` will answer operators.")
@network_options
@json_option
def register(
    target: Target,
    folder: Path,
    price: Amount,
    proof_price: Amount,
    royalty: int,
    store: Path,
    base_url: str | None,
    admission: Admission,
    private: bool,
    secret: Path | None,
    release_url: str | None,
    as_json: bool,
) -> None:
    """Register the compiled model in FOLDER: deploy its verifiers, show that they work.

    With --private the files of its shards are published encrypted, and only operators of
    `nesa model allow` (or those of --admission) get a key, one shard each, from
    `nesa model release-keys`. NESA_SECRET_PASSWORD_FILE names the file with the secret's password.
    """
    from nesa.models.publish import publish

    if not private and (secret is not None or release_url is not None):
        raise InvalidInput("--secret and --release-url go with --private")
    encryption = encryption_of(secret, release_url) if private else None
    if private and admission.named == ZERO_ADDRESS:
        admission = Admission(listed=True)
    location = publish(folder, store, base_url or str(store.resolve()), encryption)

    async def send(client: Client) -> dict[str, str]:
        terms = Terms(price, proof_price, royalty, location, admission.contract(client))
        developer = client.developer()
        version = await developer.register(folder, terms)
        stated = await developer.location_of(version)
        return {"version": f"0x{version.hex()}", "location": stated}

    registered = connected(target, send)
    if registered["location"] != location:
        warnings.warn(
            "the version was registered before and keeps its terms and its location for good; what "
            f"was written to {location} now is not where it points",
            stacklevel=1,
        )
    show(registered, as_json=as_json)


@click.command(epilog="Example: nesa model allow breast-cancer-mlp operators.txt")
@click.argument("name")
@click.argument("operators", type=FILE)
@network_options
@json_option
def allow(target: Target, name: str, operators: Path, as_json: bool) -> None:
    """Let the operators in a file sit in a version of yours, and no others; one account a line.

    The version was registered with --allow-list. Whoever sits there and is not in the file goes on
    until the seat is ended: `nesa model evict`.
    """
    lines = (line.partition("#")[0].strip() for line in operators.read_text().splitlines())
    accounts = [read_account(line) for line in lines if line]

    async def send(client: Client) -> dict[str, Any]:
        found = await client.model(name)
        return {
            "version": f"0x{found.version_id.hex()}",
            "listed": len(set(accounts)),
            "admitted": await client.developer().allow(found.version_id, accounts),
        }

    show(connected(target, send), as_json=as_json)


@click.command(epilog="Example: nesa model evict breast-cancer-mlp")
@click.argument("name")
@network_options
@json_option
def evict(target: Target, name: str, as_json: bool) -> None:
    """End the seats of operators whom a version admits no more; anybody may.

    They are drawn until the epoch is over. It costs gas, at most 500,000 a seat, and earns nothing;
    watchtowers do it too. `refused` are seats whose eviction was paid for in vain.
    """

    async def send(client: Client) -> tuple[VersionId, EvictionOutcome]:
        found = await client.model(name)
        return found.version_id, await client.end_unadmitted_seats(found)

    version_id, evictions = connected(target, send)
    if evictions.stands is not None:
        warnings.warn(
            f"stopped at slot {evictions.stands.slot} of shard {evictions.stands.shard}: its "
            "eviction was paid for and refused, and the seat still stands; the version's admission "
            "answers one thing when asked and another when it is paid for, so do not repeat this",
            stacklevel=1,
        )
    payload = {
        "version": f"0x{version_id.hex()}",
        "ended": _places(evictions.ended),
        "refused": _places(evictions.refused),
        "gas": evictions.gas,
    }
    show(payload, as_json=as_json)


def _places(seats: tuple[UnadmittedSeat, ...]) -> list[dict[str, Any]]:
    return [{"operator": seat.operator, "shard": seat.shard, "slot": seat.slot} for seat in seats]


@click.command(epilog="Example: nesa model retire 0x… --json")
@click.argument("name")
@network_options
@json_option
def retire(target: Target, name: str, as_json: bool) -> None:
    """Take a version of yours off offer for good; queries that are open go on."""

    async def send(client: Client) -> dict[str, Any]:
        found = await client.model(name)
        await client.developer().retire(found.version_id)
        return {"version": f"0x{found.version_id.hex()}", "retired": True}

    show(connected(target, send), as_json=as_json)
