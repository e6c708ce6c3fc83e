"""What a network offers for a query, what each way costs, and the plan that is made of it.

Whether a way is to be had is asked in `market_offer` and `nesa.client.shared_offers`, nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, assert_never

from nesa.chain.contracts import Contracts
from nesa.client.attested_seats import require_attested
from nesa.client.cards import Model
from nesa.client.equivariance import require_key
from nesa.client.hybrid.rule import (
    Missing,
    Offer,
    Offered,
    Task,
    Way,
    choose,
    read_sensitivity,
    rows_of,
)
from nesa.client.hybrid.words import Explanation, Readers, explain, explain_told, readers
from nesa.client.modes import (
    AsVersion,
    Auto,
    Chosen,
    Equivariant,
    Open,
    Sealed,
    Shared,
    Split,
    key_of,
    kind_of,
    seal_of,
)
from nesa.client.ordering import make_order
from nesa.client.payment import check_fee
from nesa.client.refusals import explained
from nesa.client.shared_offers import SharedOffer
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.errors import InvalidInput, Rejected
from nesa.protocol.ids import Address, Amount
from nesa.protocol.queries import Assurance, Privacy

_PROVED: Final = Way(Privacy.SEALED, Assurance.PROVED)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client says of a query beside its privacy. `max_fee` is in NES units; `attested` names
    the contract whose attested seats alone may answer."""

    max_fee: Amount | None = None
    replicas: int | None = None
    attested: Address | None = None


@dataclass(frozen=True, slots=True, eq=False)
class QueryPlan:
    """How a query will be asked; nothing is paid yet. `explanation` is for who pays.

    `model` is the version that is asked, of a query on shares the first of its products.
    """

    model: Model
    privacy: Chosen
    way: Way
    offered: Offered
    attested: Address | None
    who: Readers
    explanation: Explanation

    def watched(self) -> QueryPlan:
        """The same where a watcher will get a view grant."""
        who = replace(self.who, watched=True)
        words = replace(self.explanation, readers=readers(who, self.offered))
        return replace(self, who=who, explanation=words)

    @property
    def terms(self) -> dict[str, Any]:
        """What `Client.ask` takes, and `submit` where the market carries the mode as it is; no more
        is paid than was explained."""
        price, attested = self.offered.price, self.attested
        terms = {"privacy": self.privacy, "max_fee": price, "attested": attested}
        if isinstance(self.privacy, Shared):
            return terms
        return {**terms, "assurance": self.way.assurance, "replicas": self.offered.replicas}


async def plan_told(
    contracts: Contracts,
    model: Model,
    mode: AsVersion,
    assurance: Assurance,
    limits: Limits,
) -> QueryPlan:
    """The plan for a mode that the client named.

    Raises:
        InvalidInput: it is not to be had of this version, or over the limit.
        Unavailable: a seat's statement has run out and nobody ended it yet.
        Rejected: the market refuses; there is no such version, or it is retired.
    """
    await _require(contracts, model, mode, limits)
    way = Way(kind_of(mode), assurance)
    sealed = seal_of(mode) is not None
    offered = await market_offer(contracts, model, assurance, sealed, limits.replicas)
    check_fee(offered.price, limits.max_fee)
    who = who_reads(model, mode, way, limits)
    words = explain_told(model.name, who, way, offered)
    return QueryPlan(model, mode, way, offered, limits.attested, who, words)


async def plan_auto(
    contracts: Contracts,
    model: Model,
    auto: Auto,
    limits: Limits,
    shares: SharedOffer | Missing,
) -> QueryPlan:
    """The way that the rule chooses among what the network offers.

    Raises:
        InvalidInput: nothing is private enough within deadline and limit, or the seats of the
            version are not attested.
        Unavailable: a seat's statement has run out and nobody ended it yet.
        Rejected: there is no such version, or it is retired.
    """
    await _require(contracts, model, _at_hand(auto, sealed=True), limits)
    with explained():
        version = await contracts.registry.offer(model.version_id, at="latest")
    task = task_of(model, auto, limits, provable=version.provable)
    ways = {row.way for row in rows_of(task.sensitivity)}
    offers = {way: await _offer(contracts, model, way, limits, shares) for way in ways}
    choice = choose(task, offers)
    mode, asked = _mode_of(choice.way, auto), model
    if isinstance(mode, Shared):
        assert isinstance(shares, SharedOffer), "nothing else was offered"
        asked = shares.first
    who = who_reads(model, mode, choice.way, limits, watched=task.watched)
    words = explain(model.name, who, task, choice)
    return QueryPlan(asked, mode, choice.way, choice.offered, limits.attested, who, words)


def task_of(model: Model, auto: Auto, limits: Limits, *, provable: bool) -> Task:
    """What the rule goes by; `provable` says that the version's circuits are on chain."""
    return Task(
        sensitivity=read_sensitivity(auto.sensitivity),
        weights=model.weights,
        provable=provable and model.card.circuits is not CircuitKind.PUBLIC,
        hidden=auto.public_answer or not shows_answer(model, _PROVED),
        encoded=auto.equivariant is not None,
        split=auto.split is not None,
        watched=auto.watched,
        attested=limits.attested is not None,
        deadline=auto.deadline,
        budget=limits.max_fee,
    )


def who_reads(
    model: Model, mode: Chosen, way: Way, limits: Limits, *, watched: bool = False
) -> Readers:
    """Who reads a query in a mode, however that was chosen."""
    sealed = not isinstance(mode, Shared) and seal_of(mode) is not None
    shown = sealed and shows_answer(model, way)
    return Readers(kind_of(mode), sealed, limits.attested is not None, watched, shown)


def shows_answer(model: Model, way: Way) -> bool:
    """Whether a proof shows the answer of a sealed query to everybody."""
    hides = model.card.circuits is CircuitKind.HASHED_ANSWER
    return way.assurance is Assurance.PROVED and not hides


def plan_shares(mode: Shared, offer: SharedOffer, limits: Limits) -> QueryPlan:
    """The plan for a query on shares.

    Raises:
        InvalidInput: the deposit is over the limit.
    """
    way, offered = Way(Privacy.SHARED, Assurance.AGREED), offer.offered
    check_fee(offered.price, limits.max_fee)
    who = who_reads(offer.first, mode, way, limits)
    words = explain_told(mode.shared.public.name, who, way, offered)
    return QueryPlan(offer.first, mode, way, offered, limits.attested, who, words)


async def market_offer(
    contracts: Contracts, model: Model, assurance: Assurance, sealed: bool, replicas: int | None
) -> Offered:
    """What the market asks for a query.

    Raises:
        InvalidInput, Rejected: it is not to be had.
    """
    order = make_order(model, assurance, sealed, replicas)
    rules = await contracts.parameters.query_parameters(at="latest")
    with explained():
        version = await contracts.registry.offer(model.version_id, at="latest")
        price = await contracts.market.quote(order, at="latest")
    earliest = rules.dispute_window if assurance is Assurance.CHALLENGED else 0
    latest = earliest + rules.answer_window
    return Offered(price, version.shards, order.replicas, earliest, latest)


async def _require(contracts: Contracts, model: Model, mode: AsVersion, limits: Limits) -> None:
    require_key(model, key_of(mode))
    if isinstance(mode, Split):
        developer = await contracts.registry.developer_of(model.version_id, at="latest")
        mode.split.require_middle(model, developer)
    if limits.attested is not None:
        await require_attested(contracts, model, limits.attested)


async def _offer(
    contracts: Contracts,
    model: Model,
    way: Way,
    limits: Limits,
    shares: SharedOffer | Missing,
) -> Offer:
    """What a way costs here, or why it is not to be had."""
    match way.mode:
        case Privacy.SHARED:
            return shares.offered if isinstance(shares, SharedOffer) else shares
        case Privacy.OPEN | Privacy.SEALED | Privacy.SPLIT | Privacy.EQUIVARIANT:
            pass
        case _:
            assert_never(way.mode)
    try:
        return await market_offer(contracts, model, way.assurance, way.is_sealed, limits.replicas)
    except (InvalidInput, Rejected) as error:
        return Missing(str(error))


def _mode_of(way: Way, auto: Auto) -> Chosen:
    """How a way is asked by who has what `auto` says: a middle is never asked but as one."""
    if way.mode is Privacy.SHARED:
        assert auto.shared is not None, "its offer is missing otherwise"
        return auto.shared
    return _at_hand(auto, sealed=way.is_sealed)


def _at_hand(auto: Auto, *, sealed: bool) -> AsVersion:
    if auto.equivariant is not None:
        return Equivariant(auto.equivariant, sealed)
    if auto.split is not None:
        return Split(auto.split, sealed)
    return Sealed() if sealed else Open()
