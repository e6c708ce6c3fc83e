"""What a client sends to a model under a key, and refuses before anything is paid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa import InvalidInput, Model
from nesa.client.equivariance import encoded_features, plain_answer
from nesa.client.ordering import make_order
from nesa.models.folder import CompiledModel, load
from nesa.models.reference import run
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.user_keys import UserKey
from nesa.protocol.ids import VersionId

MLP = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"


@pytest.fixture(scope="module")
def plain() -> CompiledModel:
    return load(MLP)


@pytest.fixture(scope="module")
def held(plain: CompiledModel) -> UserKey:
    return UserKey.generate(plain)


@pytest.fixture(scope="module")
def compiled(plain: CompiledModel, held: UserKey) -> CompiledModel:
    return transformed_model(plain, held)


def offered(model: CompiledModel) -> Model:
    return Model(VersionId(bytes(model.root)), model.name, "", model.card, weights=0)


def test_features_and_answers_are_those_of_the_plain_model(
    plain: CompiledModel, compiled: CompiledModel, held: UserKey
) -> None:
    for features in plain.test_rows().features[:10]:
        sent = encoded_features(offered(compiled), features, held)
        open_ = offered(plain).encode_features(features)
        assert sent != open_
        (answer,) = run(compiled.table, [sent])
        (expected,) = run(plain.table, [open_])
        tensor = compiled.output_edge.decode(answer)
        card, integers = plain_answer(offered(compiled), tensor, held)
        assert card == plain.card
        assert np.array_equal(integers, plain.output_edge.decode(expected))


def test_a_missing_or_another_key_is_refused(
    plain: CompiledModel, compiled: CompiledModel, held: UserKey
) -> None:
    features = plain.test_rows().features[0]
    with pytest.raises(InvalidInput, match="--ee-key"):
        encoded_features(offered(compiled), features, None)
    with pytest.raises(InvalidInput, match="of epoch 1"):
        encoded_features(offered(compiled), features, held.rotated())
    with pytest.raises(InvalidInput, match="under another key"):
        encoded_features(offered(compiled), features, UserKey.generate(plain))
    with pytest.raises(InvalidInput, match="under no key"):
        encoded_features(offered(plain), features, held)
    with pytest.raises(InvalidInput, match="--ee-key"):
        plain_answer(offered(compiled), np.zeros((1, 2), np.int16), None)


def test_nothing_of_a_model_under_a_key_is_proved(compiled: CompiledModel) -> None:
    with pytest.raises(InvalidInput, match="no circuits"):
        make_order(offered(compiled), "PROVED", False, None)
    assert make_order(offered(compiled), "CHALLENGED", False, None).replicas == 4
