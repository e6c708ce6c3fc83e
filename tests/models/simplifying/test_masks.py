"""Attention masks in the ways that exporters write them: hidden places change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nesa.models.compile import compile_model
from nesa.models.floats import read_float_model
from nesa.models.runtime import session
from nesa.protocol.errors import InvalidModel
from tests.models.float_models import draws, expect_agreement, node, real_output

WORDS, LENGTH, WIDTH = 30, 6, 8
LEAST = float(np.finfo(np.float32).min)
CAUSAL = np.tril(np.ones((LENGTH, LENGTH), bool))[None]

MASKS: dict[str, tuple[str, list[NodeProto]]] = {
    "added": ("padding", [
        node("Cast", "shown", "f", to=TensorProto.FLOAT),
        node("Sub", "one f", "gone"), node("Mul", "gone least", "m"), node("Add", "s m", "z"),
    ]),
    "filled": ("padding", [
        node("Cast", "shown", "f", to=TensorProto.FLOAT), node("Expand", "f square", "wide"),
        node("Sub", "one wide", "inverted"), node("Cast", "inverted", "b", to=TensorProto.BOOL),
        node("Where", "b least inverted", "m"), node("Add", "m s", "z"),
    ]),
    "where": ("padding", [node("Where", "shown s infinite", "z")]),
    "not": ("padding", [node("Not", "shown", "b"), node("Where", "b infinite s", "z")]),
    "causal": ("causal", [node("Where", "causal s least", "z")]),
    "constant": ("causal", [node("Add", "s later", "z")]),
    "both": ("causal and padding", [
        node("And", "causal shown", "b"), node("Where", "b s least", "z"),
    ]),
    "product": ("causal and padding", [
        node("Cast", "shown", "f", to=TensorProto.FLOAT), node("Cast", "causal", "c", to=1),
        node("Mul", "f c", "both"), node("Sub", "one both", "gone"), node("Mul", "gone far", "m"),
        node("Add", "s m", "z"),
    ]),
    "behind a view": ("causal", [
        node("Unsqueeze", "s axis", "u"), node("Add", "u later", "t"),
        node("Squeeze", "t axis", "z"),
    ]),
    "two sums": ("causal and padding", [
        node("Where", "shown zero least", "m"),
        node("Add", "s later", "t"), node("Add", "t m", "z"),
    ]),
    "or": ("causal and padding", [
        node("Not", "shown", "b"), node("Or", "b hidden", "o"), node("Where", "o least s", "z"),
    ]),
}  # fmt: skip


def model(
    nodes: list[NodeProto], size: float = 1.0, *, nan: bool = False, shares: bool = False
) -> bytes:
    """One head of attention over embeddings behind a mask; with `shares` nothing behind `nodes`."""
    generator = np.random.default_rng(3)
    constants: dict[str, Any] = {
        "words": generator.normal(0, 1, (WORDS, WIDTH)).astype(np.float32),
        **{f"w{name}": draws(generator, WIDTH, WIDTH) * 2 for name in "qkv"},
        "size": np.float32(size), "least": np.float32(LEAST), "far": np.float32(-10000.0),
        "infinite": np.float32(-np.inf), "zero": np.float32(0), "one": np.float32(1),
        "none": np.int64(0), "axis": np.array([1]), "square": np.array([1, LENGTH, LENGTH]),
        "causal": CAUSAL, "hidden": ~CAUSAL,
        "later": np.where(CAUSAL, 0, LEAST).astype(np.float32),
    }  # fmt: skip
    chain = [
        node("Equal", "ids none", "e"), node("Not", "e", "n"), node("Unsqueeze", "n axis", "shown"),
        node("Gather", "words ids", "x"), node("MatMul", "x wq", "q"), node("MatMul", "x wk", "k"),
        node("MatMul", "x wv", "v"), node("Transpose", "k", "t_k", perm=[0, 2, 1]),
        node("MatMul", "q t_k", "s_raw"), node("Mul", "s_raw size", "s"), *nodes,
    ]  # fmt: skip
    if nan:
        chain += [node("Softmax", "z", "p0", axis=-1), node("IsNaN", "p0", "nan")]
        chain += [node("Where", "nan zero p0", "p"), node("MatMul", "p v", "y")]
    elif not shares:
        chain += [node("Softmax", "z", "p", axis=-1), node("MatMul", "p v", "y")]
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    source = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, LENGTH])
    target = helper.make_tensor_value_info(
        "y", TensorProto.FLOAT, [1, LENGTH, LENGTH if shares else WIDTH]
    )
    graph = helper.make_graph(chain, "attention", [source], [target], tensors)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def sentences(count: int, seed: int) -> np.ndarray:
    """Indices of 1 to 6 words, the rest filled up with 0."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, LENGTH + 1, (count, 1))
    return np.where(np.arange(LENGTH) < lengths, generator.integers(1, WORDS, (count, LENGTH)), 0)


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_goes_into_the_softmax(name):
    kinds, nodes = MASKS[name]
    layers = {layer.kind: layer for layer in read_float_model(model(nodes)).layers}
    assert "Add" not in layers
    constants, sources = layers["Softmax"].constants, layers["Softmax"].sources
    assert (len(constants) > 0, len(sources) > 1) == ("causal" in kinds, "padding" in kinds)


@pytest.mark.parametrize("size", [0.02, 1.0, 40.0])
@pytest.mark.parametrize("name", MASKS)
def test_masked_attention_is_near_the_float_model(name, size):
    onnx = model(MASKS[name][1], size)
    made, runner = compile_model(onnx, sentences(32, 1), percentile=100.0), session(onnx)
    for row in sentences(8, 2):
        (wanted,) = runner.run(None, {"ids": row[None]})
        wrong = np.abs(real_output(made, row) - wanted).mean()
        assert wrong < (0.06 if size < 10 else 0.3)  # where scores are coarse, near ties turn
    expect_agreement(made, sentences(1, 3))


def test_rows_that_are_hidden_as_a_whole_may_be_tested_for_nan():
    onnx = model(MASKS["where"][1], nan=True)
    made, runner = compile_model(onnx, sentences(32, 1), percentile=100.0), session(onnx)
    row = sentences(1, 2)[0]
    (wanted,) = runner.run(None, {"ids": row[None]})
    assert np.abs(real_output(made, row) - wanted).mean() < 0.06


@pytest.mark.parametrize("size", [0.02, 1.0, 40.0, 5000.0])
@pytest.mark.parametrize("name", ["added", "where", "both", "two sums", "constant"])
def test_hidden_places_have_no_share(name, size):
    """Also beside scores far larger than any number that a mask is usually written with."""
    onnx = model([*MASKS[name][1], node("Softmax", "z", "y", axis=-1)], size, shares=True)
    made = compile_model(onnx, sentences(32, 1), percentile=100.0)
    row = np.array([3, 9, 4, 0, 0, 0])
    shares = real_output(made, row)[0]
    hidden = np.zeros((LENGTH, LENGTH), bool)
    if "padding" in MASKS[name][0]:
        hidden |= row == 0
    if "causal" in MASKS[name][0]:
        hidden |= ~CAUSAL[0]
    assert not shares[hidden].any()
    assert shares.sum(axis=-1) == pytest.approx(1, abs=0.03)


def test_a_mask_that_adds_more_than_it_hides_is_named():
    nodes = [
        node("Cast", "shown", "f", to=TensorProto.FLOAT),
        node("Add", "s f", "z"),
    ]
    with pytest.raises(InvalidModel, match="Add node 'z_node' must only hide places"):
        read_float_model(model(nodes))


def test_a_mask_that_depends_on_two_places_is_named():
    nodes = [
        node("Transpose", "shown", "turned", perm=[0, 2, 1]),
        node("Or", "shown turned", "b"),
        node("Where", "b s least", "z"),
    ]
    with pytest.raises(InvalidModel, match="Where node 'z_node' must only hide places"):
        read_float_model(model(nodes))
