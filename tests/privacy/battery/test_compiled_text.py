"""A compiled model that reads tokens under the battery: a very small encoder, made-up weights."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.models.card import Feature, Fidelity, TensorCard, Tokens
from nesa.models.folder import CompiledModel
from nesa.privacy.battery.audit import audit
from nesa.privacy.battery.bounds import breaches
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.compiled import Subject, Text, embedding, entering
from nesa.privacy.battery.findings import Attack
from nesa.privacy.battery.observing import view
from nesa.privacy.battery.views import Observer
from nesa.privacy.shared import products
from tests.models.encoder import TOKENS, WIDTH, WORDS, encoder

PADDING, FIRST = 0, 1
BUDGET = Budget(requests=32, inverted=64, lessons=128, known=16)


@pytest.fixture(scope="module")
def model():
    table = encoder()
    edges = (table.inputs[0], table.type_of(table.outputs[0]))
    card = TensorCard(
        name="encoder",
        title="",
        description="",
        data="",
        licence="",
        features=(Feature(name="token", unit="", offset=0.0, step=1.0),),
        input_type=f"0x{edges[0].pack().hex()}",
        output_type=f"0x{edges[1].pack().hex()}",
        output_scale=1.0,
        task="embedding",
        tokens=Tokens(tokenizer="none", padding=PADDING),
        fidelity=Fidelity(test_rows=0, mean_cosine=1, lowest_cosine=1, relative_error=0),
    )
    return CompiledModel(table, card, (), {})


@pytest.fixture(scope="module", autouse=True)
def _small_layers_are_shared():
    """Layers as small as these are computed by clients themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "LEAST_OPERANDS", 1)
        yield


@pytest.fixture(scope="module")
def subject(model):
    draws = np.random.default_rng(1)
    halves = [draws.integers(2, WORDS, (200, TOKENS)) for _ in range(2)]
    for half in halves:
        half[:, 0] = FIRST
    ours, theirs = halves
    return Subject(model, Text(ours, theirs, {0: FIRST}, frozenset({FIRST})))


def found(subject, observer):
    return audit(subject.public, view(subject, observer, 1), subject.secret, BUDGET)


def recoveries(findings, attack):
    return [each.recovery for each in findings if each.attack is attack]


def test_depths_are_rows_of_the_tokens(model, subject):
    places = entering(model)
    assert len(subject.depths) == len(places) >= 2
    for depth in subject.depths:
        assert subject.states(depth).shape == (200, TOKENS, WIDTH)
    assert embedding(model.table).shape == (WORDS, WIDTH)


@pytest.mark.parametrize("observer", [Observer.SEALED_OUTSIDER, Observer.SHARED_MEMBER])
def test_claims_hold(subject, observer):
    assert breaches(observer, found(subject, observer)) == ()


def test_a_permutation_is_read(subject):
    findings = found(subject, Observer.PERMUTED_MEMBER)
    for attack in (Attack.T1, Attack.T2, Attack.T3):
        assert max(recoveries(findings, attack)) >= 0.95


def test_private_weights_hide_no_word_that_was_known(subject):
    """Places are in a secret order, which the known requests give away."""
    findings = found(subject, Observer.PERMUTED_PRIVATE)
    with_weights = found(subject, Observer.PERMUTED_MEMBER)
    assert max(recoveries(findings, Attack.T5)) == max(recoveries(with_weights, Attack.T5)) > 0.5
    assert max(recoveries(findings, Attack.T10)) >= 0.95
    assert not recoveries(findings, Attack.T1)


def test_colluding_groups_and_drawn_members_read(subject):
    assert recoveries(found(subject, Observer.SEALED_MEMBER), Attack.T0) == [1.0]
    assert max(recoveries(found(subject, Observer.SHARED_COLLUDING), Attack.T1)) >= 0.95


def test_a_split_hands_states_over_and_no_ids(subject):
    seen = view(subject, Observer.SPLIT_MEMBER)
    assert seen.identifiers is None
    assert seen.masks is None  # this one has no mask
    # No part begins at depth 0: its residual sum would take the embeddings themselves along.
    assert set(seen.states) == set(subject.depths) - {0}
