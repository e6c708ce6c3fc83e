"""The models of the repository under the battery, in every mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa.models.folder import load
from nesa.models.reference import run
from nesa.privacy.battery.audit import audit
from nesa.privacy.battery.bounds import breaches
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.compiled import Subject
from nesa.privacy.battery.findings import Attack, Measure
from nesa.privacy.battery.observing import shares, view
from nesa.privacy.battery.views import Observer
from nesa.privacy.shared.plan import plan
from nesa.protocol.errors import InvalidInput

MODELS = Path(__file__).parents[3] / "models"
BUDGET = Budget(requests=64)
OBSERVERS = [each for each in Observer if each is not Observer.ROTATED_MEMBER]


@pytest.fixture(scope="module", params=["breast-cancer-mlp", "digits-cnn"])
def subject(request):
    return Subject(load(MODELS / request.param))


@pytest.fixture(scope="module")
def found(subject):
    """Findings of every observer, with keys and shares drawn from a fixed seed."""
    return {
        observer: audit(subject.public, view(subject, observer, 1), subject.secret, BUDGET)
        for observer in OBSERVERS
    }


def recoveries(findings, attack, measure=Measure.RECORDS):
    return [f.recovery for f in findings if f.attack is attack and f.measure is measure]


def test_no_mode_lets_more_be_seen_than_it_claims(found):
    for observer, findings in found.items():
        assert breaches(observer, findings) == ()


@pytest.mark.parametrize("attack", [Attack.T1, Attack.T2, Attack.T3])
def test_a_permutation_of_public_weights_hides_no_record(found, attack):
    """The negative control."""
    assert min(recoveries(found[Observer.PERMUTED_MEMBER], attack)) >= 0.9


def test_a_split_at_any_depth_is_matched_and_inverted(found):
    findings = found[Observer.SPLIT_MEMBER]
    assert min(recoveries(findings, Attack.T1)) >= 0.98
    assert min(recoveries(findings, Attack.T6, Measure.VARIANCE)) >= 0.5


def test_who_was_drawn_or_colludes_reads_everything(found):
    assert recoveries(found[Observer.SEALED_MEMBER], Attack.T0) == [1.0]
    assert min(recoveries(found[Observer.SHARED_COLLUDING], Attack.T1)) >= 0.98


def test_states_are_those_of_the_table(subject):
    """What the attacker runs in ONNX Runtime is what the definition computes."""
    table, inputs = subject.model.table, subject.inputs(subject.secret.items[:4])
    depth = subject.depths[-1]
    row = table.rows[subject.model.table.shards[-1].end - 2]
    weights = subject.public.layers[depth].astype(np.int64)
    states = subject.states(depth)[:4, 0].astype(np.int64)
    sums = states @ weights.T + row.parameter(row.parameters[1].kind)
    for given, ours in zip(inputs, sums, strict=True):
        (data,) = run(table, [subject.model.input_edge.encode(given)])
        theirs = subject.model.output_edge.decode(data)
        assert ours.argmax() == theirs.argmax()


def test_what_is_looked_at_is_what_groups_are_sent(subject):
    """The groups' own table gives on both shares what it gives on the value itself."""
    product = plan(subject.model.table).products[0]

    def sums(digits):
        asked = product.digits_of(digits.reshape(-1, *product.shape))
        (data,) = run(product.table, [product.input_edge.encode(asked)])
        return product.output_edge.decode(data)

    values = subject.states(0)[:3]
    first, second = shares(values, product, np.random.default_rng(1))
    for number, value in enumerate(values.astype(np.int64)):
        ours, theirs = first.digits[:, number], second.digits[:, number]
        added = product.combined(sums(ours), sums(theirs))
        whole = product.digits.split(value)
        right = product.combined(sums(whole), sums(np.zeros_like(whole)))
        assert all((added[made] == right[made]).all() for made in right)
    assert len(first) == len(second) == 3
    assert (first.digits[:, 0] != first.digits[:, 1]).any(), "every request has its own seed"


def test_a_rotation_of_integers_is_refused(subject):
    with pytest.raises(InvalidInput, match="not exact on integers"):
        view(subject, Observer.ROTATED_MEMBER)
