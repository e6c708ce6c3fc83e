"""Asking: one call for every mode, and the plan of it beforehand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, assert_never, overload

from nesa.client.answers import Answer
from nesa.client.cards import Features, Model
from nesa.client.hybrid.at_hand import require_shareable, what_fits
from nesa.client.hybrid.offers import (
    Limits,
    QueryPlan,
    plan_auto,
    plan_shares,
    plan_told,
)
from nesa.client.hybrid.rule import Missing
from nesa.client.modes import (
    AsVersion,
    Auto,
    Chosen,
    Equivariant,
    Mode,
    Name,
    Open,
    Sealed,
    Shared,
    Split,
    read_mode,
    require_terms,
    seal_of,
)
from nesa.client.ordering import read_assurance
from nesa.client.parts.shares import Shares
from nesa.client.parts.submitting import Submitting
from nesa.client.shared_offers import SharedOffer, not_held, offer_if_any, offer_shares
from nesa.client.sharing import SharedResult
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address, Amount
from nesa.protocol.queries import Assurance

OnPlan: TypeAlias = Callable[[QueryPlan], Awaitable[None]]
"""Is shown how a query will be asked, before it is paid."""


class Asking(Submitting, Shares):
    """Plans and asks queries of every mode."""

    async def plan(
        self,
        model: Model | str,
        *,
        privacy: Mode | Name,
        assurance: Assurance | str | None = None,
        replicas: int | None = None,
        max_fee: Amount | None = None,
        attested: Address | None = None,
    ) -> QueryPlan:
        """How `ask` with the same arguments would ask: who could read what, the price, and with
        `Auto` why; nothing is paid. `ask(plan.model, features, **plan.terms)` asks as planned.

        Raises:
            InvalidInput: the terms do not go together, or cost more than `max_fee`, or with Auto
                nothing here is private enough; it says of each way what would have to change.
            Rejected: there is no such version, or it is retired.
        """
        mode, limits = read_mode(privacy), Limits(max_fee, replicas, attested)
        require_terms(mode, assurance, replicas)
        match mode:
            case Shared():
                offer = await offer_shares(self._catalogue, model, mode, attested)
                return plan_shares(mode, offer, limits)
            case Auto():
                found = await self._offered(model)
                fitting = await what_fits(self.contracts, found, mode)
                shares = await self._shares_for(found, fitting, attested)
                return await plan_auto(self.contracts, found, fitting, limits, shares)
            case Open() | Sealed() | Equivariant() | Split():
                found, kind = await self._offered(model), read_assurance(assurance)
                return await plan_told(self.contracts, found, mode, kind, limits)
        assert_never(mode)

    @overload
    async def ask(
        self,
        model: Model | str,
        features: Features,
        *,
        privacy: AsVersion | Name = "open",
        assurance: Assurance | str | None = None,
        replicas: int | None = None,
        max_fee: Amount | None = None,
        gas_deposit: int = 0,
        attested: Address | None = None,
        on_plan: OnPlan | None = None,
    ) -> Answer: ...

    @overload
    async def ask(
        self,
        model: Model | str,
        features: Features,
        *,
        privacy: Shared,
        max_fee: Amount | None = None,
        attested: Address | None = None,
        on_plan: OnPlan | None = None,
    ) -> SharedResult: ...

    @overload
    async def ask(
        self,
        model: Model | str,
        features: Features,
        *,
        privacy: Auto,
        replicas: int | None = None,
        max_fee: Amount | None = None,
        gas_deposit: int = 0,
        attested: Address | None = None,
        on_plan: OnPlan | None = None,
    ) -> Answer | SharedResult: ...

    async def ask(
        self,
        model: Model | str,
        features: Features,
        *,
        privacy: Mode | Name = "open",
        assurance: Assurance | str | None = None,
        replicas: int | None = None,
        max_fee: Amount | None = None,
        gas_deposit: int = 0,
        attested: Address | None = None,
        on_plan: OnPlan | None = None,
    ) -> Answer | SharedResult:
        """Ask, pay, and wait for the answer; see `submit` and `result`.

        `privacy` is "open", "sealed", or one of `nesa.client.modes`: `Sealed`, `Equivariant`,
        `Split`, `Shared`, or `Auto`, which has privacy and assurance chosen. `on_plan` is awaited
        with the plan before anything is paid; what it raises keeps the query here, and no more is
        paid than it says. `max_fee` is in NES units, of a query on shares the most to put down.

        An error after the payment has the query in `submitted`: `result(error.submitted)` goes on.

        Raises:
            InvalidInput, InvalidTensor, IntegrityError, and others: as `plan` and `submit`; nothing
                was paid.
            GroupFailed: in a query on shares nobody is left to stand in for members that fail.
            QueryExpired, and others: as `result`.
        """
        mode = read_mode(privacy)
        require_terms(mode, assurance, replicas, gas_deposit)
        terms: dict[str, Any] = {"assurance": assurance, "replicas": replicas}
        terms |= {"max_fee": max_fee, "attested": attested}
        if isinstance(mode, Auto) or on_plan is not None:
            plan = await self.plan(model, privacy=mode, **terms)
            if on_plan is not None:
                await on_plan(plan)
            model, terms = plan.model, plan.terms
            mode = terms.pop("privacy")
        return await self._ask(model, features, mode, gas_deposit, terms)

    async def _ask(
        self,
        model: Model | str,
        features: Features,
        mode: Chosen,
        gas_deposit: int,
        terms: dict[str, Any],
    ) -> Answer | SharedResult:
        market = {**terms, "gas_deposit": gas_deposit}
        match mode:
            case Shared():
                limits = terms["max_fee"], terms["attested"]
                return await self._ask_shared(model, features, mode, *limits)
            case Split():
                return await self._ask_split(model, features, mode, market)
            case Open() | Sealed() | Equivariant():
                submitted = await self.submit(model, features, privacy=mode, **market)
                return await self.result(submitted)
        assert_never(mode)

    async def _ask_split(
        self, model: Model | str, features: Features, mode: Split, terms: dict[str, Any]
    ) -> Answer:
        middle = await self._offered(model)
        developer = await self.contracts.registry.developer_of(middle.version_id, at="latest")
        mode.split.require_middle(middle, developer)
        begun, privacy = mode.split.begin(features), seal_of(mode) or Open()
        sent = middle.card.input_edge.decode(begun.sent)
        submitted = await self.submit(middle, sent, privacy=privacy, **terms)
        return mode.split.finish(begun, await self.result(submitted))

    async def _ask_shared(
        self,
        model: Model | str,
        features: Features,
        mode: Shared,
        max_fee: Amount | None,
        attested: Address | None,
    ) -> SharedResult:
        mode.shared.encoded(features)  # before anything is paid
        offer = await offer_shares(self._catalogue, model, mode, attested)
        async with self._session(offer, mode, max_fee) as session:
            result = await session.ask(features)
        return session.with_late(result)

    async def _shares_for(
        self, model: Model, fitting: Auto, attested: Address | None
    ) -> SharedOffer | Missing:
        """What queries on shares would take, as far as they come into question."""
        if fitting.shared is None:
            return not_held(self.connection.deployment)
        try:
            await require_shareable(self.connection, model, fitting)
        except InvalidInput as error:
            if fitting.equivariant is None and fitting.split is None:
                raise
            return Missing(str(error))
        return await offer_if_any(self._catalogue, fitting.shared, attested)
