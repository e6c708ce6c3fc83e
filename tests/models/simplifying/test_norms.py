"""Norms that are written out become one node, in every way that exporters write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import NodeProto

from nesa.models.compile import compile_model
from nesa.models.floats import read_float_model
from nesa.models.runtime import session
from tests.models.float_models import build, draws, expect_agreement, node, real_output

ROWS, WIDTH, CHANNELS = 3, 8, 6
CONSTANTS = {
    "two": np.float32(2),
    "one": np.float32(1),
    "half": np.float32(0.5),
    "minus": np.float32(-0.5),
    "eps": np.float32(1e-6),
    "gain": np.linspace(0.5, 2, WIDTH).astype(np.float32),
    "bias": np.linspace(-1, 1, WIDTH).astype(np.float32),
    "w": draws(np.random.default_rng(0), WIDTH, WIDTH),
    "v": draws(np.random.default_rng(1), WIDTH, 4),
}
SQUARES = {
    "pow": [node("Pow", "c two", "q")],
    "product": [node("Mul", "c c", "q")],
}
QUOTIENTS = {
    "div": [node("Sqrt", "e", "r"), node("Div", "c r", "n")],
    "inverse": [node("Sqrt", "e", "r"), node("Div", "one r", "i"), node("Mul", "c i", "n")],
    "reciprocal": [node("Sqrt", "e", "r"), node("Reciprocal", "r", "i"), node("Mul", "i c", "n")],
    "power": [node("Pow", "e minus", "i"), node("Mul", "c i", "n")],
    "root": [node("Pow", "e half", "r"), node("Div", "c r", "n")],
}
WEIGHTS = {
    "none": ([], "n"),
    "gain": ([node("Mul", "gain n", "g")], "g"),
    "both": ([node("Mul", "n gain", "g"), node("Add", "g bias", "o")], "o"),
}


def rows(count: int = 32) -> np.ndarray:
    return np.random.default_rng(5).normal(0.5, 1, (count, ROWS, WIDTH)).astype(np.float32)


def kinds(onnx: bytes) -> list[str]:
    """Kinds of the layers that are read."""
    return [layer.kind for layer in read_float_model(onnx).layers]


def near(onnx: bytes, data: np.ndarray) -> None:
    """The compiled model is near the float model, and the same everywhere."""
    made, runner = compile_model(onnx, data, percentile=100.0), session(onnx)
    for row in data[:4]:
        (wanted,) = runner.run(None, {"x": row[None]})
        assert real_output(made, row) == pytest.approx(wanted, abs=0.09 * np.abs(wanted).max())
    expect_agreement(made, data[:1])


def written(square: str, quotient: str, weights: str, centred: Sequence[NodeProto]) -> bytes:
    """A dense layer, the norm and another dense layer."""
    more, last = WEIGHTS[weights]
    nodes = [
        node("MatMul", "x w", "h"),
        *centred,
        *SQUARES[square],
        node("ReduceMean", "q", "m", axes=[-1], keepdims=1),
        node("Add", "m eps", "e"),
        *QUOTIENTS[quotient],
        *more,
        node("MatMul", f"{last} v", "y"),
    ]
    return build(nodes, CONSTANTS, [1, ROWS, WIDTH], "y")


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("quotient", QUOTIENTS)
@pytest.mark.parametrize("square", SQUARES)
def test_an_rms_norm_becomes_one_layer(square, quotient, weights):
    onnx = written(square, quotient, weights, [node("Tanh", "h", "c")])
    more = ["Add"] if weights == "both" else []
    assert kinds(onnx) == ["Gemm", "Function", "RMSNormalization", *more, "Gemm"]
    near(onnx, rows())


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("quotient", QUOTIENTS)
@pytest.mark.parametrize("square", SQUARES)
def test_a_layer_norm_becomes_one_layer(square, quotient, weights):
    mean = node("ReduceMean", "h", "u", axes=[2], keepdims=1)
    onnx = written(square, quotient, weights, [mean, node("Sub", "h u", "c")])
    assert kinds(onnx) == ["Gemm", "LayerNormalization", "Gemm"]
    near(onnx, rows())


def test_a_layer_norm_over_channels_is_turned():
    generator = np.random.default_rng(3)
    constants = {
        "k": draws(generator, CHANNELS, 3, 3, 3),
        "two": np.float32(2),
        "eps": np.float32(1e-6),
        "gain": generator.uniform(0.5, 2, (CHANNELS, 1, 1)).astype(np.float32),
        "bias": generator.uniform(-1, 1, (CHANNELS, 1, 1)).astype(np.float32),
    }
    nodes = [
        node("Conv", "x k", "h", kernel_shape=[3, 3]),
        node("ReduceMean", "h", "u", axes=[1], keepdims=1),
        node("Sub", "h u", "c"),
        node("Pow", "c two", "q"),
        node("ReduceMean", "q", "m", axes=[1], keepdims=1),
        node("Add", "m eps", "e"),
        node("Sqrt", "e", "r"),
        node("Div", "c r", "n"),
        node("Mul", "gain n", "g"),
        node("Add", "g bias", "y"),
    ]
    onnx = build(nodes, constants, [1, 3, 6, 6], "y")
    assert kinds(onnx) == ["Conv", "Transpose", "LayerNormalization", "Transpose"]
    near(onnx, np.random.default_rng(4).normal(0, 1, (32, 3, 6, 6)).astype(np.float32))


@pytest.mark.parametrize("clipped", [True, False])
def test_a_vector_divided_by_its_length_is_an_rms_norm(clipped):
    bottom = [node("Clip", "l eps", "b"), node("Expand", "b shape", "s")] if clipped else []
    nodes = [
        node("MatMul", "x w", "h"),
        node("ReduceL2", "h", "l", axes=[-1], keepdims=1),
        *bottom,
        node("Div", "h s" if clipped else "h l", "y"),
    ]
    shape = np.array([1, ROWS, WIDTH], np.int64)
    onnx = build(nodes, CONSTANTS | {"shape": shape}, [1, ROWS, WIDTH], "y")
    assert kinds(onnx) == ["Gemm", "RMSNormalization"]
    near(onnx, rows())


def test_a_gain_may_be_negative_or_zero_where_the_stream_reads_it():
    gains = np.array([1, -2, 0, 0.5, -0.1, 3, 1, 1], np.float32)
    nodes = [
        node("MatMul", "x w", "h"),
        node("LayerNormalization", "h gain bias", "n", axis=-1),
        node("Add", "n h", "s"),
        node("MatMul", "s v", "y"),
    ]
    near(build(nodes, CONSTANTS | {"gain": gains}, [1, ROWS, WIDTH], "y"), rows())


def test_what_only_looks_like_a_norm_stays():
    other = [
        node("MatMul", "x w", "h"),
        node("Mul", "h h", "q"),
        node("ReduceMean", "q", "m", axes=[-1], keepdims=1),
        node("Add", "m one", "e"),
        node("Sqrt", "e", "r"),
        node("Tanh", "h", "t"),
        node("Div", "t r", "y"),
    ]
    onnx = build(other, CONSTANTS, [1, ROWS, WIDTH], "y")
    assert "RMSNormalization" not in kinds(onnx)
