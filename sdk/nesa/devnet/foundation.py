"""Everything of a network that comes before its miners: chain, contracts, accounts, models."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Deployment
from nesa.chain.sender import Sender
from nesa.client.registering import Developer
from nesa.devnet.accounts import DevnetAccount, create_account
from nesa.devnet.chain import LocalChain, start_chain
from nesa.devnet.deploying import deploy_contracts
from nesa.devnet.layout import Clone, Layout
from nesa.devnet.models import Progress, PublishedModel, publish, publish_products
from nesa.devnet.processes import Supervisor
from nesa.protocol.ids import ONE_NES, Address, Amount

ROLES: Final = ("deployer", "developer", "client", "clinic", "treasury", "reviewers")

SUPPLIER: Final = "deployer"
"""Holds what is left of the genesis supply of NES."""

GIFTS: Final = {
    "client": Amount(10_000 * ONE_NES),
    "clinic": Amount(100 * ONE_NES),
    "developer": Amount(100 * ONE_NES),
}
"""NES that these accounts start with, from the deployer's genesis supply."""


@dataclass(frozen=True, slots=True)
class People:
    """Accounts of everybody who is no operator."""

    deployer: DevnetAccount
    developer: DevnetAccount
    client: DevnetAccount
    clinic: DevnetAccount
    treasury: DevnetAccount
    reviewers: DevnetAccount

    def everybody(self) -> tuple[DevnetAccount, ...]:
        """All of them."""
        return tuple(getattr(self, name) for name in ROLES)


@dataclass(frozen=True, slots=True)
class Foundation:
    """A chain with contracts and models, still mining every transaction at once."""

    layout: Layout
    clone: Clone
    chain: LocalChain
    deployment: Deployment
    people: People
    models: tuple[PublishedModel, ...]


async def lay_foundation(
    supervisor: Supervisor,
    layout: Layout,
    clone: Clone,
    paths: Sequence[Path],
    shared: Sequence[Path],
    progress: Progress,
) -> Foundation:
    """Start the chain, deploy, hand out NES, register the compiled models at `paths` and the
    products of those in `shared`.

    Raises:
        InvalidConfiguration: something is not installed, or the folder is in use.
        Unavailable: a program of the set-up failed; the message has the end of its log.
    """
    progress("starting a chain")
    chain = await start_chain(supervisor, layout.log("chain"))
    people = await asyncio.to_thread(_create_people, layout)
    await asyncio.gather(*(chain.give_coins(one.address) for one in people.everybody()))
    progress("deploying the contracts with ape")
    deployment = await deploy_contracts(
        supervisor,
        layout,
        clone,
        chain.url,
        people.deployer,
        people.treasury.address,
        people.reviewers.address,
    )
    async with await Connection.open(chain.url, deployment) as connection:
        await hand_out(connection, people.deployer, _gifts(people))
        developer = Developer(connection, Sender(connection, people.developer.account))
        models = [
            *await _publish_models(developer, layout, paths, progress),
            *await _publish_products(developer, layout, shared, progress),
        ]
    return Foundation(layout, clone, chain, deployment, people, tuple(models))


async def hand_out(
    connection: Connection, giver: DevnetAccount, gifts: Sequence[tuple[Address, Amount]]
) -> None:
    """Send NES from one account to others."""
    sender, token = Sender(connection, giver.account), Contracts(connection).token
    for receiver, amount in gifts:
        await sender.send(token.transfer(receiver, amount))


def _create_people(layout: Layout) -> People:
    made = {name: create_account(layout.keys(name), name) for name in ROLES}
    return People(**made)


def _gifts(people: People) -> list[tuple[Address, Amount]]:
    return [(getattr(people, name).address, amount) for name, amount in GIFTS.items()]


async def _publish_models(
    developer: Developer, layout: Layout, paths: Sequence[Path], progress: Progress
) -> list[PublishedModel]:
    published = []
    for path in paths:
        progress(f"registering {path.name}, with a proof for each of its verifiers")
        published.append(await publish(developer, path, layout.store))
    return published


async def _publish_products(
    developer: Developer, layout: Layout, paths: Sequence[Path], progress: Progress
) -> list[PublishedModel]:
    """The first product of each model."""
    published = []
    for path in paths:
        progress(f"registering the products of {path.name} for queries on shares")
        products = layout.products / path.name
        published.append(await publish_products(developer, path, products, layout.store))
    return published
