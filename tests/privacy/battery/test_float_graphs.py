"""Float graphs under a key, as the product makes them, are read wherever weights are public."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.privacy.battery.audit import audit
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.compiled import Text
from nesa.privacy.battery.findings import Attack
from nesa.privacy.battery.float_graphs import FloatSubject, GraphStates
from nesa.privacy.battery.views import Observer, Secret
from nesa.protocol.errors import InvalidInput
from tests.privacy.battery.decoder import decoder_requests, decoder_subject
from tests.privacy.equivariant.float_graphs import KEY, LENGTH, WIDTH, GraphBuilder, answer

BUDGET = Budget(requests=8, lessons=128, known=16)
WATCHED = 96


@pytest.fixture(scope="module")
def secret() -> Secret:
    return decoder_requests()


@pytest.fixture(scope="module")
def subject(secret: Secret) -> FloatSubject:
    return decoder_subject(secret)


@pytest.fixture(scope="module")
def found(subject, secret):
    """Findings of who knows the model and of who does not."""
    observers = Observer.ROTATED_MEMBER, Observer.ROTATED_PRIVATE
    return {
        one: audit(subject.public(), subject.view(one, KEY, secret, WATCHED), secret, BUDGET)
        for one in observers
    }


def recoveries(findings, attack):
    return [each.recovery for each in findings if each.attack is attack]


def test_states_are_those_of_the_graph(subject, secret):
    """Many at a time as one alone."""
    items = secret.items[:5]
    for depth in range(len(subject.depths)):
        states = subject.public().states(items, depth)
        assert states.shape == (5, LENGTH, WIDTH)
        for number, row in enumerate(items):
            alone = subject.public().states(row[None], depth)
            assert np.allclose(alone[0], states[number], atol=1e-6)


def test_states_reach_what_the_graph_gives(subject, secret):
    """Behind the last layer, where no dense one reads."""
    items = secret.items[:3]
    states = GraphStates(subject.plain, [subject.plain.graph.output[0].name]).run(items, 0)
    alone = [answer(subject.plain, [row[None]])[0][0] for row in items]
    assert np.allclose(states, alone, atol=1e-5)


def test_a_key_turns_the_stream_and_moves_the_places(subject, secret):
    seen = subject.view(Observer.ROTATED_MEMBER, KEY, secret, WATCHED)
    assert seen.scattered
    plain = subject.public().states(secret.items[:WATCHED], 0)
    assert not np.allclose(np.sort(seen.states[0]), np.sort(plain), atol=1e-3)
    turned, straight = (np.linalg.norm(each, axis=-1) for each in (seen.states[0], plain))
    assert np.allclose(np.sort(turned), np.sort(straight), atol=1e-4)


@pytest.mark.parametrize("attack", [Attack.T2, Attack.T3])
def test_a_rotation_of_public_weights_hides_nothing(found, attack):
    """The negative control, on what the product makes, at every depth."""
    tried = recoveries(found[Observer.ROTATED_MEMBER], attack)
    assert len(tried) >= 5
    assert min(tried) >= 0.98


def test_sorted_channels_do_not_match_a_rotation(found):
    assert max(recoveries(found[Observer.ROTATED_MEMBER], Attack.T1)) < 0.2


def test_private_weights_leave_known_requests_and_linkage(found):
    private = found[Observer.ROTATED_PRIVATE]
    assert {Attack.T1, Attack.T2, Attack.T3}.isdisjoint(each.attack for each in private)
    assert max(recoveries(private, Attack.T5)) > 0.7
    assert max(recoveries(private, Attack.T10)) >= 0.95


def test_who_sees_no_model_under_a_key_is_refused(subject, secret):
    with pytest.raises(InvalidInput, match="sees no float model under a key"):
        subject.view(Observer.SHARED_MEMBER, KEY, secret, WATCHED)


def test_a_graph_that_looks_no_words_up_is_refused(secret):
    made = GraphBuilder(kind=np.float32)
    proto = made.model([("x", (1, 4), 1)], [made.add("MatMul", "x", made.weights(4, 4))])
    assert answer(proto, [np.ones((1, 4), np.float32)])
    with pytest.raises(InvalidInput, match="looks no token ids up"):
        FloatSubject(proto, Text(secret.items, secret.items))
