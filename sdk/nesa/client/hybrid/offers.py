"""What the hybrid rule chooses from: which ways of asking a network has for a version, and what
each costs.

Whether a way is to be had is asked in `_offered` and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, assert_never

from nesa.chain.contracts import Contracts
from nesa.client.attested_seats import require_attested
from nesa.client.cards import Model
from nesa.client.hybrid.rule import (
    Choice,
    Missing,
    Offer,
    Offered,
    Sensitivity,
    Task,
    Way,
    choose,
    rows_of,
)
from nesa.client.hybrid.words import Explanation, explain
from nesa.client.ordering import make_order
from nesa.client.refusals import explained
from nesa.protocol.errors import InvalidInput, Rejected
from nesa.protocol.ids import Address, Amount
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import Assurance, Privacy

BY_ITSELF: Final = (
    "it is never chosen for you, as you have to hold the model and to trust that two groups do not "
    "talk; ask it with `nesa query --shared FOLDER` or Client.ask_shared (docs/shared-queries.md)"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client says of a query beforehand.

    `deadline` is in seconds, `budget` in NES units. `attested` names the contract whose attested
    seats alone may answer. `watched` says that a watcher will get a view grant, `split` that the
    client computes the first and last layers, `encoded` that it holds the key of the model.
    """

    sensitivity: Sensitivity
    deadline: int | None = None
    budget: Amount | None = None
    replicas: int | None = None
    attested: Address | None = None
    watched: bool = False
    split: bool = False
    encoded: bool = False


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """How a query will be asked; nothing is paid yet. `explanation` is for who pays."""

    model: Model
    wish: Wish
    task: Task
    choice: Choice

    @property
    def explanation(self) -> Explanation:
        """Why, who will read what, the price, and what was not to be had."""
        return explain(self.task, self.choice)

    @property
    def terms(self) -> dict[str, Any]:
        """What `Client.submit`, `ask` and `ask_split` take; no more is paid than was explained.

        Raises:
            InvalidInput: the query is not one of the market.
        """
        way = self.choice.way
        if way.mode is Privacy.SHARED:
            raise InvalidInput(BY_ITSELF)
        return {
            "assurance": way.assurance,
            "sealed": way.is_sealed,
            "replicas": self.choice.offered.replicas,
            "max_fee": self.choice.offered.price,
            "attested": self.wish.attested,
        }


def read_sensitivity(given: Sensitivity | str | None) -> Sensitivity:
    """The sensitivity of that name.

    Raises:
        InvalidInput: there is none.
    """
    try:
        return Sensitivity(given.lower() if isinstance(given, str) else given)
    except ValueError:
        known = ", ".join(one.value for one in Sensitivity)
        raise InvalidInput(f"the sensitivity is {given!r}; choose one of {known}") from None


async def plan_query(contracts: Contracts, model: Model, wish: Wish) -> QueryPlan:
    """The way that the rule chooses among what the network offers.

    Raises:
        InvalidInput: nothing is private enough within deadline and budget, or the seats of the
            version are not attested.
        Unavailable: a seat's statement has run out and nobody ended it yet.
        Rejected: there is no such version, or it is retired.
    """
    if wish.attested is not None:
        await require_attested(contracts, model, wish.attested)
    with explained():
        version = await contracts.registry.offer(model.version_id, at="latest")
    rules = await contracts.parameters.query_parameters(at="latest")
    task = Task(
        sensitivity=wish.sensitivity,
        weights=model.weights,
        provable=version.provable,
        encoded=model.card.equivariance is not None and wish.encoded,
        split=wish.split,
        watched=wish.watched,
        attested=wish.attested is not None,
        deadline=wish.deadline,
        budget=wish.budget,
    )
    ways = {row.way for row in rows_of(wish.sensitivity)}
    offers = {
        way: await _offered(contracts, model, way, wish.replicas, version.shards, rules)
        for way in ways
    }
    return QueryPlan(model, wish, task, choose(task, offers))


async def _offered(
    contracts: Contracts,
    model: Model,
    way: Way,
    replicas: int | None,
    shards: int,
    rules: QueryParameters,
) -> Offer:
    """What a way costs here, or why it is not to be had."""
    match way.mode:
        case Privacy.SHARED:
            return Missing(_about_shares(contracts))
        case Privacy.OPEN | Privacy.SEALED | Privacy.SPLIT | Privacy.EQUIVARIANT:
            pass
        case _:
            assert_never(way.mode)
    try:
        order = make_order(model, way.assurance, way.is_sealed, replicas)
        with explained():
            price = await contracts.market.quote(order, at="latest")
    except (InvalidInput, Rejected) as error:
        return Missing(str(error))
    earliest = rules.dispute_window if way.assurance is Assurance.CHALLENGED else 0
    return Offered(price, shards, order.replicas, earliest, earliest + rules.answer_window)


def _about_shares(contracts: Contracts) -> str:
    """Why no query on shares is chosen: the network has none, or the client opens it by itself."""
    if contracts.deployment.sessions is None:
        return "this network has no sessions of queries on shares"
    return BY_ITSELF
