"""Asks from the command line: what is wished, its plan, and the way from there to the answer."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nesa.cli.features import Given
from nesa.cli.grants import MOST_WATCHERS, Watchers
from nesa.cli.output import console
from nesa.cli.quantities import in_coins
from nesa.cli.resuming import Departure, keeping
from nesa.cli.showing import tell_wait
from nesa.cli.split_queries import Carried, as_version, carried, finishing
from nesa.client.answers import Answer, SubmittedQuery
from nesa.client.cards import Model
from nesa.client.client import Client
from nesa.client.equivariance import encoded_features
from nesa.client.hybrid.offers import QueryPlan
from nesa.client.modes import (
    Mode,
    Shared,
    key_of,
    seal_of,
    with_content_key,
)
from nesa.client.ordering import read_assurance
from nesa.client.payment import in_nes
from nesa.client.watching import Requested, Stage
from nesa.protocol.errors import InvalidInput, NesaError
from nesa.protocol.ids import Address, Amount
from nesa.protocol.queries import Assurance

UNWATCHED: Final = (
    "no watcher is named, and the key of the query goes with its answer: afterwards only its "
    "committee could challenge it (--watcher lets a watchtower see it, --keep-key keeps the key)"
)

NOBODY_LOOKS: Final = (
    "a sealed CHALLENGED answer is worth no more than an AGREED one where nobody can look at it: "
    "name a watchtower with --watcher, or keep the key with --keep-key and grant the view later"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for. `gas_deposit` is in wei, None for what a report takes."""

    model: str
    given: Given
    mode: Mode
    assurance: Assurance | str | None = None
    replicas: int | None = None
    max_fee: Amount | None = None
    gas_deposit: int | None = 0
    watchers: tuple[bytes, ...] = ()
    attested: Address | None = None

    def planned(self, plan: QueryPlan) -> Wish:
        """The same as it was planned."""
        return replace(
            self,
            model=f"0x{plan.model.version_id.hex()}",
            mode=plan.privacy,
            assurance=plan.way.assurance,
            replicas=plan.offered.replicas,
            max_fee=plan.offered.price,
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """A plan, and the wei that would be left beside the fee for whoever reports."""

    plan: QueryPlan
    gas_deposit: int = 0


async def preview(client: Client, wish: Wish, kept: Path | None) -> Preview:
    """How the query would be asked, once everything is checked that is checked before it is paid.

    Raises:
        InvalidInput, InvalidTensor, and others: it would be refused.
    """
    plan = await client.plan(
        wish.model,
        privacy=wish.mode,
        assurance=wish.assurance,
        replicas=wish.replicas,
        max_fee=wish.max_fee,
        attested=wish.attested,
    )
    if isinstance(plan.privacy, Shared):
        shared = plan.privacy.shared
        shared.encoded(wish.given.ordered([one.name for one in shared.card.features]))
        return Preview(plan)
    wish = wish.planned(plan)
    sent = carried(plan.model, as_version(wish.mode), wish.given)
    encoded_features(plan.model, sent.features, key_of(sent.mode))
    if watchers_of(wish, kept).holders:
        plan = plan.watched()
    return Preview(plan, await gas_deposit_of(client, plan.model, wish))


async def ask(client: Client, wish: Wish, departure: Departure, *, quiet: bool) -> Answer:
    """Ask and wait; `departure` learns how far it came."""
    watchers = watchers_of(wish, departure.kept)
    departure.check()
    mode = as_version(wish.mode)
    model = await client.model(wish.model)
    if not quiet and seal_of(mode) and not wish.watchers and departure.kept is None:
        console().print(UNWATCHED)
    deposit = await gas_deposit_of(client, model, wish)
    if not quiet and deposit:
        console().print(about_deposit(deposit))
    if departure.content_key is not None:
        mode = with_content_key(mode, departure.content_key)
    sent = carried(model, mode, wish.given)
    submitted = await _submitted(client, model, wish, sent, deposit)
    departure.arrived(submitted)
    if not quiet:
        console().print(
            f"query {submitted.query_id} is on chain, paid {in_nes(submitted.query.fee)}"
        )

    async def told(stage: Stage) -> None:
        if isinstance(stage, Requested):
            files = await watchers.grant(client, replace(submitted, query=stage.query))
            if files and not quiet:
                console().print(f"send the watcher its grant: {', '.join(map(str, files))}")
        if not quiet:
            await tell_wait(submitted, stage)

    with keeping(submitted), finishing(mode):
        return sent.finished(await client.result(submitted, told))


def watchers_of(wish: Wish, kept: Path | None) -> Watchers:
    """Who may see the query, once everything that can be checked before it is paid is.

    Raises:
        InvalidInput: the query is open, nobody could challenge an answer that waits for it, or too
            many or impossible watchers.
    """
    sealed = seal_of(as_version(wish.mode)) is not None
    if not sealed and (wish.watchers or kept):
        raise InvalidInput("everybody sees an open query; --watcher and --keep-key need --sealed")
    waits = read_assurance(wish.assurance) is Assurance.CHALLENGED
    if sealed and waits and not (wish.watchers or kept):
        raise InvalidInput(NOBODY_LOOKS)
    watchers = Watchers(tuple(dict.fromkeys(wish.watchers)))
    if len(watchers.holders) > MOST_WATCHERS:
        raise InvalidInput(f"a query has at most {MOST_WATCHERS} watchers")
    watchers.check()
    return watchers


async def _submitted(
    client: Client, model: Model, wish: Wish, sent: Carried, deposit: int
) -> SubmittedQuery:
    """The query on chain; where only its deposit failed, the answer is waited for all the same."""
    try:
        return await client.submit(
            model,
            sent.features,
            privacy=sent.mode,
            assurance=wish.assurance,
            replicas=wish.replicas,
            max_fee=wish.max_fee,
            gas_deposit=deposit,
            attested=wish.attested,
        )
    except NesaError as error:
        if not isinstance(error.submitted, SubmittedQuery):
            raise
        warnings.warn(f"no coin was left for the gas of the report: {error}", stacklevel=1)
        return error.submitted


async def gas_deposit_of(client: Client, model: Model, wish: Wish) -> int:
    """Wei to leave for whoever reports."""
    if wish.gas_deposit is not None:
        return wish.gas_deposit
    return await client.wanted_gas_deposit(model, assurance=wish.assurance, replicas=wish.replicas)


def about_deposit(wei: int) -> str:
    """What a deposit of gas is for."""
    return (
        f"leaving {in_coins(wei)} coins beside the fee for the gas of whoever reports, who gets "
        "all of it; they come back when nobody answers"
    )
