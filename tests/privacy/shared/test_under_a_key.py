"""A model under a user's key, asked on shares: equal to the plain model bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa.client.equivariance import plain_answer
from nesa.client.sharing import SharedPublicModel
from nesa.models import reference
from nesa.models.folder import CompiledModel, load, save
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.user_keys import UserKey
from nesa.privacy.shared.models import product_models
from nesa.privacy.shared.session import SharedModel, ask
from nesa.protocol.errors import InvalidInput

from .conftest import MODELS
from .parties import SESSION, Group


@pytest.fixture(scope="module", params=["breast-cancer-mlp", "digits-cnn"])
def plain(request: pytest.FixtureRequest) -> CompiledModel:
    return load(MODELS / request.param)


@pytest.fixture(scope="module")
def held(plain: CompiledModel) -> UserKey:
    return UserKey.generate(plain)


@pytest.fixture(scope="module")
def shared(
    plain: CompiledModel, held: UserKey, tmp_path_factory: pytest.TempPathFactory
) -> SharedPublicModel:
    folder = tmp_path_factory.mktemp("under-a-key") / "model"
    save(transformed_model(plain, held), folder)
    return SharedPublicModel.read(folder, held)


async def test_answers_are_those_of_the_plain_model(
    plain: CompiledModel, held: UserKey, shared: SharedPublicModel
) -> None:
    groups = Group("first", shared.model, 1), Group("second", shared.model, 2)
    transports = groups[0].transport, groups[1].transport
    for features in plain.test_rows().features[:5]:
        sent = shared.encoded(features)
        data = plain.input_edge.encode(plain.card.quantise_input(features))
        answer = await ask(shared.model, (sent,), transports, SESSION)
        (expected,) = reference.run(plain.table, (data,))
        found = shared.public.output_edge.decode(answer.outputs[0])
        card, integers = plain_answer(shared.public, found, held)
        assert card == shared.card == plain.card
        assert np.array_equal(integers, plain.output_edge.decode(expected))


def test_groups_hold_other_products_than_those_of_the_plain_model(
    plain: CompiledModel, shared: SharedPublicModel
) -> None:
    """Permuted ones: the same weights in another order."""
    own = SharedModel(plain.table).plan
    pairs = zip(
        product_models(own, plain),
        product_models(shared.model.plan, shared.public),
        strict=True,
    )
    moved = []
    for before, after in pairs:
        (one, *_), (other, *_) = before.table.rows[0].parameters, after.table.rows[0].parameters
        first, second = (np.sort(np.frombuffer(held.data, np.uint8)) for held in (one, other))
        assert np.array_equal(first, second)
        moved.append(one.data != other.data)
    # A layer of few channels keeps its order under one key in some dozen.
    assert any(moved)


def test_a_model_under_a_key_is_not_read_without_it(
    plain: CompiledModel, held: UserKey, shared: SharedPublicModel, tmp_path: Path
) -> None:
    save(shared.public, tmp_path / "model")
    for key, match in ((None, "--ee-key"), (held.rotated(), "of epoch 1")):
        with pytest.raises(InvalidInput, match=match):
            SharedPublicModel.read(tmp_path / "model", key)
    with pytest.raises(InvalidInput, match="under no key"):
        SharedPublicModel.read(MODELS / plain.name, held)
