"""What a real chain offers to the hybrid rule, and that nothing else is paid than was explained."""

from __future__ import annotations

import numpy as np
import pytest

from nesa import (
    ONE_NES,
    Auto,
    Client,
    InvalidInput,
    Model,
    Open,
    Privacy,
    QueryPlan,
    Rejected,
    Sealed,
)
from nesa.client.hybrid.rule import Sensitivity
from nesa.protocol.ids import Amount
from nesa.protocol.queries import Assurance
from tests.client.strangers import chain_put_back


async def sealed_offer(client: Client, model: Model, assurance: Assurance) -> Amount | str:
    """What the market says of a sealed query: its price, or why it does not take it."""
    try:
        return await client.quote(model, assurance=assurance, privacy="sealed")
    except (InvalidInput, Rejected) as error:
        return str(error)


async def test_public_data_are_asked_openly_for_the_quote(client: Client, model: Model) -> None:
    plan = await client.plan(model, privacy=Auto("public"))
    assert plan.terms["assurance"] is Assurance.AGREED
    assert isinstance(plan.privacy, Open)
    assert plan.offered.price == await client.quote(model)
    assert plan.explanation.readers.startswith("everybody, for good")
    assert "no deadline is stated" in plan.explanation.passed[0]


async def test_who_has_time_waits_for_the_end_of_disputes(client: Client, model: Model) -> None:
    rules = await client.contracts.parameters.query_parameters(at="latest")
    latest = rules.answer_window + rules.dispute_window
    plan = await client.plan(model, privacy=Auto(Sensitivity.PUBLIC, latest))
    assert plan.terms["assurance"] is Assurance.CHALLENGED
    assert plan.offered.earliest == rules.dispute_window
    plan = await client.plan(model, privacy=Auto(Sensitivity.PUBLIC, latest - 1))
    assert plan.terms["assurance"] is Assurance.AGREED


async def test_personal_data_are_sealed(client: Client, model: Model) -> None:
    plan = await client.plan(model, privacy=Auto("personal"), replicas=3)
    assert isinstance(plan.privacy, Sealed)
    assert plan.terms["replicas"] == 3
    assert "the 6 operators" in plan.explanation.readers
    assert plan.offered.price == await client.quote(model, privacy="sealed", replicas=3)


async def test_who_names_a_watcher_is_offered_more(client: Client, model: Model) -> None:
    watched = await client.plan(model, privacy=Auto("personal", deadline=10**6, watched=True))
    offer = await sealed_offer(client, model, Assurance.CHALLENGED)
    if isinstance(offer, str):
        assert watched.way.assurance is Assurance.AGREED
        assert watched.explanation.passed[-1].endswith(offer)
    else:
        assert watched.way.assurance is Assurance.CHALLENGED
        assert watched.offered.price == offer


async def test_the_size_of_a_model_is_counted(model: Model) -> None:
    assert 3_000 < model.weights < 10_000


async def test_critical_data_are_asked_as_offered_or_not_at_all(
    client: Client, model: Model
) -> None:
    """A version whose circuits show the input is passed over; it is never anything weaker."""
    assert isinstance(await sealed_offer(client, model, Assurance.PROVED), str)
    with pytest.raises(InvalidInput, match="private enough for critical data") as refused:
        await client.plan(model, privacy=Auto("critical"))
    assert "SEALED PROVED: this version has no circuits that hash the input" in str(refused.value)


async def test_a_query_on_shares_is_named_and_left_to_the_client(
    client: Client, model: Model
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await client.plan(model, privacy=Auto("critical"))
    assert str(refused.value).count("SHARED: it takes the public model in your hands") == 1
    assert "`nesa query --shared FOLDER`, Auto(shared=Shared(model))" in str(refused.value)


async def test_a_network_without_sessions_names_no_query_on_shares(
    client: Client, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = client.connection.deployment.model_copy(update={"sessions": None})
    monkeypatch.setattr(client.connection, "deployment", bare)
    with pytest.raises(InvalidInput) as refused:
        await client.plan(model, privacy=Auto("critical"))
    assert "SHARED: this network has no sessions" in str(refused.value)
    assert "--shared" not in str(refused.value)


async def test_what_a_query_may_cost_at_most_is_kept_to(client: Client, model: Model) -> None:
    price = await client.quote(model, privacy="sealed")
    with pytest.raises(InvalidInput, match="more than the limit"):
        await client.plan(model, privacy=Auto("personal"), max_fee=Amount(price - 1))
    assert (await client.plan(model, privacy=Auto("personal"), max_fee=price)).terms


async def test_a_plan_is_shown_before_anything_is_paid(
    client: Client, model: Model, features: np.ndarray
) -> None:
    shown = list[QueryPlan]()

    async def refuse(plan: QueryPlan) -> None:
        shown.append(plan)
        raise LookupError("not for that price")

    before = await client.balance()
    with pytest.raises(LookupError):
        await client.ask(model, features, privacy=Auto("personal"), on_plan=refuse)
    assert (await client.balance()).nes == before.nes
    assert shown[0].way.mode is Privacy.SEALED


async def test_a_plan_is_what_is_submitted(
    client: Client, model: Model, features: np.ndarray
) -> None:
    async with chain_put_back(client):
        plan = await client.plan(model, privacy=Auto("personal"), max_fee=Amount(ONE_NES))
        submitted = await client.submit(model, features, **plan.terms)
        assert submitted.query.privacy is Privacy.SEALED
        assert submitted.query.fee == plan.offered.price
