"""The models of the repository under the battery, in every mode."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nesa.models.folder import load
from nesa.models.reference import run
from nesa.privacy import sealing
from nesa.privacy.battery.audit import audit
from nesa.privacy.battery.bounds import breaches
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.compiled import Subject
from nesa.privacy.battery.findings import Attack, Measure
from nesa.privacy.battery.observing import OF_INTEGERS, view
from nesa.privacy.battery.recording import asking_order
from nesa.privacy.battery.views import Observer
from nesa.privacy.shared import seeds
from nesa.privacy.shared.digits import key_stream
from nesa.protocol.errors import InvalidInput

MODELS = Path(__file__).parents[3] / "models"
BUDGET = Budget(requests=64)


@pytest.fixture(scope="module", params=["breast-cancer-mlp", "digits-cnn"])
def subject(request):
    return Subject(load(MODELS / request.param), begun=600)


@pytest.fixture(scope="module")
def seen(subject):
    """Views of every observer, with keys and seeds that are drawn alike in every run."""
    return {observer: view(subject, observer, 1) for observer in OF_INTEGERS}


@pytest.fixture(scope="module")
def found(subject, seen):
    return {
        observer: audit(subject.public, each, subject.secret, BUDGET)
        for observer, each in seen.items()
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


@pytest.mark.parametrize("observer", [Observer.PERMUTED_PRIVATE, Observer.SPLIT_PRIVATE])
def test_private_weights_leave_what_needs_no_weights(found, observer):
    """Nothing is compared with a public model; known requests and pairs still tell."""
    tried = {each.attack for each in found[observer]}
    assert tried.isdisjoint({Attack.T1, Attack.T2, Attack.T3})
    assert max(recoveries(found[observer], Attack.T10, Measure.PAIRS)) == 1.0
    assert max(recoveries(found[observer], Attack.T5)) > 0.05
    assert max(recoveries(found[observer], Attack.T6, Measure.VARIANCE)) > 0.2


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


def test_shares_are_those_that_queries_send(subject):
    """Both groups' shares of every depth add up to what enters the layer, whatever it is."""
    told = subject.recorded
    for depth in subject.depths:
        first, second = told.first[depth], told.second[depth]
        states = subject.states(depth)[: len(first)]
        assert np.array_equal(first.added(second), states)
        assert np.array_equal(second.masks(states), first.elements())


@pytest.mark.parametrize("fault", ["a bit too few", "the same seed for all requests"])
def test_a_client_that_masks_badly_is_noticed(monkeypatch, fault):
    """The battery attacks what is sent, so it fails where sending is broken."""
    subject = Subject(load(MODELS / "breast-cancer-mlp"), begun=160)
    if fault == "a bit too few":
        low = np.uint8((1 << 7) - 1)
        monkeypatch.setattr(f"{seeds.__name__}.key_stream", lambda *given: key_stream(*given) & low)
    else:
        drawn = cycle([bytes([number]) * 32 for number, _ in enumerate(subject.entering)])
        monkeypatch.setattr(seeds.SeenSeeds, "admit", lambda *given: None)
        once = SimpleNamespace(token_bytes=lambda size: next(drawn))
        monkeypatch.setattr(f"{seeds.__name__}.secrets", once)
    seen = view(subject, Observer.SHARED_MEMBER)
    findings = audit(subject.public, seen, subject.secret, BUDGET)
    found = {each.attack for each in breaches(Observer.SHARED_MEMBER, findings)}
    assert Attack.T8 in found


def test_a_seed_that_a_few_pairs_share_is_noticed(monkeypatch):
    """One pair in six, and every mask is as uniform as before."""
    subject = Subject(load(MODELS / "breast-cancer-mlp"), asked=64, begun=600)
    whole = subject.recorded
    drawn, asked = np.random.default_rng(4), iter(asking_order(len(subject.begun)))
    fresh = [drawn.bytes(32) for _ in subject.begun]
    shared = [place - place % 2 if place % 12 < 2 else place for place in range(len(fresh))]
    again = SimpleNamespace(token_bytes=lambda size: fresh[shared[next(asked)]])
    monkeypatch.setattr(seeds.SeenSeeds, "admit", lambda *given: None)
    monkeypatch.setattr(f"{seeds.__name__}.secrets", again)
    seen = view(subject, Observer.SHARED_MEMBER)
    assert subject.recorded is whole
    findings = audit(subject.public, seen, subject.secret, BUDGET)
    found = {each.attack for each in breaches(Observer.SHARED_MEMBER, findings)}
    assert Attack.T10 in found
    assert found <= {Attack.T7, Attack.T10}


def test_one_group_is_sent_what_every_product_needs(subject, seen):
    shared, products = seen[Observer.SHARED_MEMBER], len(subject.depths)
    assert set(shared.shares) == set(subject.depths)
    assert {len(each) for each in shared.messages["seeds"]} == {32 * products}


def test_a_request_that_was_begun_is_what_a_whole_one_begins_with(subject):
    """Its first round is that of the model, and there is no other."""
    whole, begun = subject.recorded, subject.recorded_begun
    assert set(begun.first) == set(begun.second) == {0}
    assert begun.second[0].written == whole.second[0].written
    for told in (whole, begun):
        added = told.first[0].added(told.second[0])
        assert np.array_equal(added, subject.public.states(subject.secret.items[: len(added)], 0))
    assert len(begun.second[0]) == 600
    assert {len(each) for each in begun.seeds} == {32}
    assert set(begun.counts["rounds of the second group"].tolist()) == {1}


@pytest.mark.parametrize("observer", [Observer.SEALED_OUTSIDER, Observer.SHARED_MEMBER])
def test_a_weak_likeness_of_requests_would_show(found, observer):
    """The bound of linkage leaves little room: at a coin and a tenth the claim is broken."""
    sure = [
        each.baseline + each.slack
        for each in found[observer]
        if each.attack is Attack.T10
        and (observer is not Observer.SHARED_MEMBER or "begun" in each.tried)
    ]
    assert len(sure) >= 3
    assert max(sure) <= 0.61


def test_every_request_of_a_model_has_as_many_bytes_and_rounds(found, seen):
    """T9 counts them, and they say nothing."""
    for observer in (Observer.SEALED_OUTSIDER, Observer.SHARED_MEMBER):
        assert all(len(set(each)) == 1 for each in seen[observer].counts.values())
        told = [each for each in found[observer] if each.attack is Attack.T9]
        assert len(told) >= 6
        assert all(each.recovery == each.baseline for each in told if each.tried != "seconds")


def test_who_was_not_drawn_sees_every_part_of_an_answered_query(seen):
    parts = {"input", "blinded digests", "answer", "wrapped keys", "hand-over"}
    assert set(seen[Observer.SEALED_OUTSIDER].messages) == parts


def test_digests_without_a_blind_are_noticed(monkeypatch):
    """Of one record they are the same whenever it is asked about."""
    subject = Subject(load(MODELS / "breast-cancer-mlp"), begun=160)
    monkeypatch.setattr(sealing, "sealed_digest", lambda content_key, boundary, digest: digest)
    seen = view(subject, Observer.SEALED_OUTSIDER, 1)
    findings = audit(subject.public, seen, subject.secret, BUDGET)
    assert Attack.T10 in {each.attack for each in breaches(Observer.SEALED_OUTSIDER, findings)}


def test_what_a_split_hands_over_is_what_its_client_computes(subject, seen):
    states = seen[Observer.SPLIT_MEMBER].states
    assert set(states) == set(subject.depths) - {0}  # in front of depth 0 is the input
    for depth, handed in states.items():
        assert np.array_equal(handed, subject.states(depth))


def test_a_rotation_of_integers_is_refused(subject):
    with pytest.raises(InvalidInput, match="not exact on integers"):
        view(subject, Observer.ROTATED_MEMBER)
