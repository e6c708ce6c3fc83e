"""What a network offers for queries on shares, and when the rule chooses them; nothing is paid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nesa import (
    Auto,
    Client,
    InvalidInput,
    Model,
    Privacy,
    Shared,
    SharedPublicModel,
)
from nesa.client.hybrid.rule import SMALL_WEIGHTS
from nesa.client.parts.shares import Shares
from nesa.protocol.ids import Address, Amount
from tests.standing_network import PRODUCTS, SHARED

MODELS = Path(__file__).parents[2] / "models"
SEATS = 4
"""Of two groups of one, and two spares."""


@pytest.fixture(scope="module")
def shared() -> SharedPublicModel:
    return SharedPublicModel.read(MODELS / SHARED)


@pytest.fixture(scope="module")
def other() -> SharedPublicModel:
    return SharedPublicModel.read(MODELS / "digits-cnn")


async def deposit_of(client: Client, seats: int) -> Amount:
    price = (
        await client.contracts.registry.offer(
            (await client.model(PRODUCTS[0])).version_id, at="latest"
        )
    ).price
    return Amount(price * len(PRODUCTS) * seats)


async def test_a_session_is_planned_by_its_deposit(
    client: Client, shared: SharedPublicModel
) -> None:
    rules = await client.contracts.parameters.query_parameters(at="latest")
    plan = await client.plan(SHARED, privacy=Shared(shared))
    assert plan.model.name == PRODUCTS[0]
    assert plan.offered.price == await deposit_of(client, SEATS)
    assert plan.offered.price == await client.quote(SHARED, privacy=Shared(shared))
    assert plan.offered.rounds == len(shared.model.plan.rounds)
    assert plan.offered.latest == rules.answer_window
    assert plan.terms == {"privacy": plan.privacy, "max_fee": plan.offered.price, "attested": None}
    said = plan.explanation
    assert (said.model, said.mode, said.row) == (SHARED, "SHARED", None)
    assert "both groups, of 1 each" in said.readers
    larger = await client.plan(SHARED, privacy=Shared(shared, replicas=2))
    assert larger.offered.price == await deposit_of(client, 6)
    assert "both groups, of 2 each" in larger.explanation.readers
    most = await client.plan(SHARED, privacy=Shared(shared, replicas=4))
    assert most.offered.price == await deposit_of(client, 8)


async def test_the_model_is_named_in_any_way(
    client: Client, model: Model, shared: SharedPublicModel
) -> None:
    first = await client.model(PRODUCTS[0])
    by_name = Shared(shared, products=PRODUCTS[0])
    for named, mode in (
        (model, Shared(shared)),
        (PRODUCTS[0], Shared(shared)),
        (first, Shared(shared)),
        (model, by_name),
        (SHARED, Shared(shared, products=first)),
    ):
        plan = await client.plan(named, privacy=mode)
        assert plan.model == first
        again = await client.plan(plan.model, **plan.terms)
        assert (again.model, again.explanation) == (first, plan.explanation)


@pytest.mark.parametrize("named", ["digits-cnn", PRODUCTS[1], "no-such-model"])
async def test_another_model_than_the_folder_holds_is_named_beside_it(
    client: Client, shared: SharedPublicModel, named: str
) -> None:
    with pytest.raises(InvalidInput, match=f"{named}.*") as refused:
        await client.plan(named, privacy=Shared(shared))
    assert f"the folder at hand holds {SHARED}" in str(refused.value)
    if named == "digits-cnn":
        with pytest.raises(InvalidInput, match=f"holds {SHARED}, which is not the .*{named}"):
            await client.plan(named, privacy=Auto("critical", shared=Shared(shared)))


async def test_a_deposit_over_the_limit_is_not_put_down(
    client: Client, shared: SharedPublicModel
) -> None:
    deposit = await client.quote(SHARED, privacy=Shared(shared))
    features, before = shared.public.test_rows().features[0], await client.balance()
    for call in (
        client.plan(SHARED, privacy=Shared(shared), max_fee=Amount(deposit - 1)),
        client.ask(SHARED, features, privacy=Shared(shared), max_fee=Amount(deposit - 1)),
    ):
        with pytest.raises(InvalidInput, match="limit"):
            await call
    assert await client.balance() == before


async def test_what_no_session_is_opened_for_is_said(
    client: Client, model: Model, shared: SharedPublicModel, other: SharedPublicModel
) -> None:
    with pytest.raises(InvalidInput, match="there is no model digits-cnn-shared-0"):
        await client.plan("digits-cnn", privacy=Shared(other))
    with pytest.raises(InvalidInput, match="begin with this version"):
        await client.plan(SHARED, privacy=Shared(shared, products="digits-cnn"))
    nobody = Address("0x" + "11" * 20)
    with pytest.raises(InvalidInput, match="not attested"):
        await client.plan(SHARED, privacy=Shared(shared), attested=nobody)


async def test_critical_data_are_asked_on_shares_by_who_holds_the_model(
    client: Client, model: Model, shared: SharedPublicModel
) -> None:
    plan = await client.plan(model, privacy=Auto("critical", shared=Shared(shared)), replicas=4)
    assert plan.way.mode is Privacy.SHARED
    assert plan.explanation.row == 2
    assert plan.explanation.passed[0].startswith("SEALED PROVED: ")
    assert plan.offered.price == await client.quote(SHARED, privacy=Shared(shared))
    assert plan.model.name == PRODUCTS[0]
    assert plan.explanation.model == SHARED


async def test_a_large_model_is_asked_on_shares_by_who_has_time(
    client: Client, model: Model, shared: SharedPublicModel
) -> None:
    large = replace(model, weights=SMALL_WEIGHTS + 1)
    rules = await client.contracts.parameters.query_parameters(at="latest")
    patient = Auto("critical", deadline=rules.answer_window, shared=Shared(shared))
    plan = await client.plan(large, privacy=patient)
    assert (plan.way.mode, plan.explanation.row) == (Privacy.SHARED, 4)
    with pytest.raises(InvalidInput, match="behind the deadline"):
        await client.plan(large, privacy=replace(patient, deadline=rules.answer_window - 1))


async def test_less_sensitive_data_are_not_asked_on_shares(
    client: Client, model: Model, shared: SharedPublicModel
) -> None:
    for sensitivity in ("public", "personal"):
        plan = await client.plan(model, privacy=Auto(sensitivity, shared=Shared(shared)))
        assert plan.way.mode is not Privacy.SHARED


async def test_where_shares_are_not_to_be_had_the_reason_is_given(
    client: Client, shared: SharedPublicModel, other: SharedPublicModel
) -> None:
    auto = Auto("critical", shared=Shared(other))
    with pytest.raises(InvalidInput, match="SHARED: there is no model digits-cnn-shared-0"):
        await client.plan("digits-cnn", privacy=auto)
    crowd = Auto("critical", shared=Shared(shared, replicas=5))
    with pytest.raises(InvalidInput, match="SHARED: a group has 1 to 4 members"):
        await client.plan(SHARED, privacy=crowd)


async def test_what_the_rule_chose_is_what_is_opened(
    client: Client,
    model: Model,
    shared: SharedPublicModel,
    features: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = list[tuple[str, Amount | None]]()

    def open_session(self: Shares, offer: object, wanted: Shared, most: Amount | None) -> object:
        opened.append((wanted.shared.public.name, most))
        raise LookupError("nobody serves here")

    monkeypatch.setattr(Shares, "_session", open_session)
    deposit = await client.quote(SHARED, privacy=Shared(shared))
    with pytest.raises(LookupError):
        await client.ask(model, features, privacy=Auto("critical", shared=Shared(shared)))
    assert opened == [(SHARED, deposit)]
