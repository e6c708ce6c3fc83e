"""What a network offers for a query on shares: the products of the model, and the deposit."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Deployment
from nesa.chain.events import ProductsListed, VersionRegistered
from nesa.chain.history import find_versions
from nesa.chain.sessions import SharedSessions
from nesa.client.attested_seats import require_attested
from nesa.client.cards import Model
from nesa.client.catalogue import Catalogue
from nesa.client.hybrid.rule import Missing, Offered
from nesa.client.modes import Shared
from nesa.client.refusals import explained
from nesa.client.sharing import SharedPublicModel, find_products, order_of, session_key
from nesa.protocol.errors import InvalidInput, NesaError
from nesa.protocol.ids import Address
from nesa.protocol.queries import MAX_REPLICAS

SPARES: Final = 2
"""Who stand by for members that fail, unless the groups take all seats."""

NO_SESSIONS: Final = "this network has no sessions of queries on shares"
NOT_HELD: Final = (
    "it takes the public model in your hands, and your trust that two groups do not talk: give its "
    "folder (`nesa query --shared FOLDER`, Auto(shared=Shared(model)); docs/shared-queries.md)"
)


@dataclass(frozen=True, slots=True)
class SharedOffer:
    """The list of a model's products, the first of them, and what a session on them takes."""

    first: Model
    listed: ProductsListed
    offered: Offered


def not_held(deployment: Deployment) -> Missing:
    """Why no query on shares is chosen for a client that does not offer itself for it."""
    return Missing(NO_SESSIONS if deployment.sessions is None else NOT_HELD)


def seats_of(wanted: Shared) -> int:
    """Seats of both groups and of who stands by."""
    usual = min(2 * wanted.replicas + SPARES, MAX_REPLICAS)
    return usual if wanted.seats is None else wanted.seats


async def offer_if_any(
    catalogue: Catalogue, wanted: Shared, attested: Address | None
) -> SharedOffer | Missing:
    """What a session takes for a query of the model at hand, or why there is none to be had."""
    if catalogue.connection.deployment.sessions is None:
        return Missing(NO_SESSIONS)
    try:
        return await offer_shares(catalogue, wanted.shared.public.name, wanted, attested)
    except NesaError as error:  # also of a store that is away: other ways do not need it
        return Missing(str(error))


async def offer_shares(
    catalogue: Catalogue, model: Model | str, wanted: Shared, attested: Address | None
) -> SharedOffer:
    """What a session takes for a query of a model; see `first_product`.

    Raises:
        InvalidInput: no such products, or another model.
        InvalidConfiguration: no such groups.
        Unavailable: the deployment has no sessions, or the node does not answer.
        Rejected: the contract refuses, for want of seats for example.
    """
    connection, payer = catalogue.connection, session_key(secrets.token_bytes(32))
    sessions = SharedSessions.of(connection)
    first = await first_product(catalogue, model, wanted)
    listed = await find_products(connection, wanted.shared, first.version_id)
    contracts = Contracts(connection)
    if attested is not None:
        await require_attested(contracts, first, attested)
    rules = await contracts.parameters.query_parameters(at="latest")
    order = order_of(listed, payer, wanted.replicas, seats_of(wanted))
    with explained():
        deposit = await sessions.deposit_for(order, at="latest")
    rounds = len(wanted.shared.model.plan.rounds)
    offered = Offered(deposit, 1, wanted.replicas, 0, rules.answer_window, rounds)
    return SharedOffer(first, listed, offered)


async def first_product(catalogue: Catalogue, model: Model | str, wanted: Shared) -> Model:
    """The version that a query on shares is asked of: the products that are named, else those that
    `nesa model share` named after the model. `model` is the model itself, which need not be
    registered, or the first of its products.

    Raises:
        InvalidInput: it is another model than the client holds, or there are no such products.
    """
    shared = wanted.shared
    if model != shared.public.name:
        named = await _named(catalogue, model, shared)
        event = await _registered(catalogue.connection, named)
        if not _is_same(event, shared):
            given = named if wanted.products is None else await _found(catalogue, wanted.products)
            if event.operators_root != shared.model.roots[0] or given != named:
                raise InvalidInput(_other(event.name, shared))
            return named
    return await _found(catalogue, wanted.products or shared.first_product)


async def require_same(connection: Connection, model: Model, shared: SharedPublicModel) -> None:
    """Returns when a registered version is the model that the client holds.

    Raises:
        InvalidInput: it is another one; the error names both.
    """
    if not _is_same(await _registered(connection, model), shared):
        raise InvalidInput(_other(model.name, shared))


def _is_same(event: VersionRegistered, shared: SharedPublicModel) -> bool:
    """Whether a version has the operators and the card of the model at hand; how both are cut into
    shards is no matter of shares."""
    public = shared.public
    held = (public.operators_root, public.metadata_digest)
    return held == (event.operators_root, event.metadata_digest)


def _other(name: str, shared: SharedPublicModel) -> str:
    held = shared.public.name
    return (
        f"the folder at hand holds {held}, which is not the registered {name}: ask {held}, or give "
        f"the folder of {name}"
    )


async def _named(catalogue: Catalogue, model: Model | str, shared: SharedPublicModel) -> Model:
    try:
        return await _found(catalogue, model)
    except InvalidInput as error:
        raise InvalidInput(f"{error}; the folder at hand holds {shared.public.name}") from error


async def _found(catalogue: Catalogue, model: Model | str) -> Model:
    return model if isinstance(model, Model) else await catalogue.model(model)


async def _registered(connection: Connection, model: Model) -> VersionRegistered:
    found = await find_versions(connection)
    return next(event for event in found if event.version_id == model.version_id)
