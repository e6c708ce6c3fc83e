"""Everyday layers become tables that answer nearly the same, on whatever runs them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nesa.models.compile import EMITTERS, Compiled, compile_model
from nesa.models.emitting.equalising import channel_scales
from nesa.models.floats import SUPPORTED
from nesa.models.graph import Opcode
from nesa.models.lowering import runtime_model
from nesa.models.reference import run
from nesa.models.runtime import session
from nesa.protocol.errors import InvalidModel
from tests.models.float_models import build, draws, node, real_output

WORDS, LENGTH, WIDTH, HEADS = 40, 12, 16, 2


def float_output(onnx: bytes, row: np.ndarray) -> np.ndarray:
    """What the float model answers."""
    runner = session(onnx)
    return runner.run(None, {runner.get_inputs()[0].name: row[None]})[0].reshape(-1)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of the angle between two vectors."""
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def attention(generator: np.random.Generator, constants: dict[str, np.ndarray]) -> list[NodeProto]:
    """Nodes from `n0` and `mask` to `h`, a block of two heads behind a norm."""
    for name in "qkvo":
        constants |= {
            f"w{name}": draws(generator, WIDTH, WIDTH) * 2,
            f"b{name}": draws(generator, WIDTH),
        }
    nodes = []
    for name in "qkv":
        nodes += [
            node("MatMul", f"n0 w{name}", f"m{name}"),
            node("Add", f"b{name} m{name}", f"a{name}"),
            node("Reshape", f"a{name} heads", f"r{name}"),
            node(
                "Transpose",
                f"r{name}",
                f"t{name}",
                perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3],
            ),
        ]
    return [
        *nodes,
        node("MatMul", "tq tk", "s0"),
        node("Div", "s0 root", "s1"),
        node("Add", "s1 mask", "s2"),
        node("Softmax", "s2", "p", axis=-1),
        node("MatMul", "p tv", "c0"),
        node("Transpose", "c0", "c1", perm=[0, 2, 1, 3]),
        node("Reshape", "c1 flat", "c2"),
        node("MatMul", "c2 wo", "c3"),
        node("Add", "bo c3", "c4"),
        node("Add", "n0 c4", "h"),
    ]


def feed_forward(
    generator: np.random.Generator, constants: dict[str, np.ndarray]
) -> list[NodeProto]:
    """Nodes from `n1` to `f`, with the exporters' way of writing GELU."""
    constants |= {
        "wu": draws(generator, WIDTH, 4 * WIDTH) * 3,
        "bu": draws(generator, 4 * WIDTH),
        "wd": draws(generator, 4 * WIDTH, WIDTH),
        "bd": draws(generator, WIDTH),
    }
    return [
        node("MatMul", "n1 wu", "u0"),
        node("Add", "bu u0", "u"),
        node("Div", "u sqrt2", "g0"),
        node("Erf", "g0", "g1"),
        node("Add", "g1 one", "g2"),
        node("Mul", "u g2", "g3"),
        node("Mul", "g3 half", "g"),
        node("MatMul", "g wd", "d0"),
        node("Add", "bd d0", "d"),
        node("Add", "d n1", "f"),
    ]


def encoder() -> bytes:
    """Embedding, one block, and the mean over the places that are not padding."""
    generator = np.random.default_rng(3)
    constants: dict[str, np.ndarray] = {
        "words": generator.normal(0, 1, (WORDS, WIDTH)).astype(np.float32),
        "places": generator.normal(0, 0.3, (1, LENGTH, WIDTH)).astype(np.float32),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
        "sqrt2": np.array(2**0.5, np.float32),
        "root": np.array((WIDTH / HEADS) ** 0.5, np.float32),
        "far": np.array(-10000, np.float32),
        "axes": np.array([1, 2], np.int64),
        "last": np.array([2], np.int64),
        "along": np.array([1], np.int64),
        "heads": np.array([1, LENGTH, HEADS, WIDTH // HEADS], np.int64),
        "flat": np.array([1, LENGTH, WIDTH], np.int64),
    }
    for place in range(3):
        constants[f"g{place}w"] = generator.uniform(0.5, 2, WIDTH).astype(np.float32)
        constants[f"g{place}b"] = draws(generator, WIDTH)
    nodes = [
        node("Equal", "ids zero", "e"),
        node("Not", "e", "ne"),
        helper.make_node("Cast", ["ne"], ["real"], to=TensorProto.FLOAT),
        node("Sub", "one real", "gone"),
        node("Mul", "gone far", "hidden"),
        node("Unsqueeze", "hidden axes", "mask"),
        node("Gather", "words ids", "x0"),
        node("Add", "x0 places", "x1"),
        node("LayerNormalization", "x1 g0w g0b", "n0", axis=-1),
        *attention(generator, constants),
        node("LayerNormalization", "h g1w g1b", "n1", axis=-1),
        *feed_forward(generator, constants),
        node("LayerNormalization", "f g2w g2b", "n2", axis=-1),
        node("Unsqueeze", "real last", "weights"),
        node("Mul", "n2 weights", "counted"),
        node("ReduceSum", "counted along", "total", keepdims=0),
        node("ReduceSum", "weights along", "count", keepdims=0),
        node("Div", "total count", "y"),
    ]
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    source = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, LENGTH])
    target = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, WIDTH])
    graph = helper.make_graph(nodes, "encoder", [source], [target], tensors)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def sentences(count: int, seed: int) -> np.ndarray:
    """Indices of sentences of 3 to 12 words, the rest filled up with 0."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(1, WORDS, (count, LENGTH))
    lengths = generator.integers(3, LENGTH + 1, (count, 1))
    return np.where(np.arange(LENGTH) < lengths, rows, 0)


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_model(encoder(), sentences(48, 1), percentile=100.0, padding=0)


def test_an_encoder_answers_nearly_the_same(compiled):
    onnx = encoder()
    cosines = [
        cosine(real_output(compiled, row).reshape(-1), float_output(onnx, row))
        for row in sentences(24, 2)
    ]
    assert np.mean(cosines) > 0.995
    assert min(cosines) > 0.98


def test_an_encoder_gives_the_bytes_of_the_reference_on_onnx_runtime(compiled):
    table = compiled.table
    runner = session(runtime_model(table, table.shards[0]))
    for row in sentences(8, 3):
        (wanted,) = run(table, (table.inputs[0].encode(row[None]),))
        (found,) = runner.run(None, {"x0": row[None].astype(np.float32)})
        assert table.type_of(table.outputs[0]).encode(found) == wanted


def test_what_stands_behind_padding_changes_nothing(compiled):
    short = sentences(1, 4)[0].copy()
    short[5:] = 0
    assert float_output(encoder(), short) == pytest.approx(
        real_output(compiled, short).reshape(-1), abs=0.25
    )


def test_every_layer_is_reported(compiled):
    layers = {layer.target: layer for layer in compiled.layers}
    assert layers["p"].kind == "Softmax"
    assert all(layer.error < 0.2 for layer in compiled.layers if np.isfinite(layer.error))
    assert layers["n1"].worst_sum >= 2**24
    assert layers["n1"].obstacle == ""


def chain(nodes: Sequence[NodeProto], constants: dict[str, np.ndarray], shape: list[int]) -> bytes:
    """A model of convolutional layers."""
    return build(list(nodes), constants, shape, "y")


def images(count: int = 48) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 1, (count, 3, 4, 4)).astype(np.float32)


CONV = {"w": draws(np.random.default_rng(6), 4, 3, 3, 3)}
FIRST = node("Conv", "x w", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
NORM = {
    "scale": np.array([1, 2, -1, 0.5], np.float32),
    "shift": np.array([0, 1, 2, -1], np.float32),
    "mean": np.array([0.1, 0, -0.2, 0.3], np.float32),
    "variance": np.array([1, 0.5, 2, 1.5], np.float32),
}


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Sigmoid", "a", "s"), node("Mul", "a s", "y")], {}),
        ([node("HardSwish", "a", "y")], {}),
        ([node("BatchNormalization", "a scale shift mean variance", "y")], NORM),
        (
            [
                node("Relu", "a", "r"),
                node("BatchNormalization", "r scale shift mean variance", "y"),
            ],
            NORM,
        ),
        ([node("Relu", "a", "r"), node("Concat", "r a", "y", axis=1)], {}),
        (
            [node("Resize", "a  scales", "y", mode="nearest", nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric")],
            {"scales": np.array([1, 1, 2, 3], np.float32)},
        ),
        (
            [
                helper.make_node("Split", ["a", "sizes"], ["one", "two"], "split", axis=1),
                node("Tanh", "two", "t"),
                node("Mul", "one t", "y"),
            ],
            {"sizes": np.array([2, 2], np.int64)},
        ),
        (
            [node("Slice", "a start stop axes", "y")],
            {
                "start": np.array([1], np.int64),
                "stop": np.array([-1], np.int64),
                "axes": np.array([2], np.int64),
            },
        ),
        ([node("ReduceMean", "a", "y", axes=[2, 3], keepdims=1)], {}),
        ([node("Gather", "a place", "y", axis=1)], {"place": np.array(2, np.int64)}),
        ([node("Softmax", "a", "y", axis=-1)], {}),
        ([node("Clip", "a low high", "y")], {"low": np.float32(-0.5), "high": np.float32(0.7)}),
    ],
    ids=["silu", "hard swish", "batch norm", "late batch norm", "concat", "resize", "gate",
         "slice", "mean", "gather", "softmax", "clip"],
)  # fmt: skip
def test_a_layer_answers_nearly_the_same(nodes, constants):
    for item in nodes:
        if item.op_type == "Resize":
            item.input[:] = ["a", "", "scales"]
    onnx = chain([FIRST, *nodes], CONV | constants, [1, 3, 4, 4])
    made = compile_model(onnx, images(), percentile=100.0)
    for row in images(8):
        wanted = float_output(onnx, row)
        assert real_output(made, row).reshape(-1) == pytest.approx(
            wanted, abs=0.05 * max(1.0, np.abs(wanted).max())
        )


def test_a_gate_is_a_product_of_two_tensors():
    nodes = [FIRST, node("Sigmoid", "a", "s"), node("Tanh", "a", "t")]
    onnx = chain([*nodes, node("Transpose", "t", "u", perm=[0, 1, 3, 2]), node("Mul", "s u", "y")],
                 dict(CONV), [1, 3, 4, 4])  # fmt: skip
    codes = [row.opcode for row in compile_model(onnx, images()).table.rows]
    assert Opcode.MATMUL in codes


def test_channels_that_are_unlike_get_scales_of_their_own():
    generator = np.random.default_rng(7)
    rows = generator.normal(0, 1, (200, 8)) * np.array([50, 1, 1, 1, 1, 1, 1, 1.0])
    scales = channel_scales(rows, [generator.normal(0, 1, (4, 8))], 127)
    assert scales[0] > 2 * scales[1:].max()
    assert (np.abs(rows) / scales).max() <= 127 + 1e-9


@pytest.mark.parametrize(
    ("nodes", "constants", "named"),
    [
        ([node("Softmax", "a", "y", axis=1)], {}, "Softmax node 'y_node' must work along"),
        ([node("LayerNormalization", "a scale", "y", axis=1)], {"scale": np.ones((4, 4, 4), "f4")},
         "LayerNormalization node 'y_node' must normalise the last axis"),
        ([node("Slice", "a start stop axes steps", "y")],
         {"start": np.array([0]), "stop": np.array([4]), "axes": np.array([2]),
          "steps": np.array([2])}, "Slice node 'y_node' must take every place"),
        ([node("Log", "a", "y")], {}, "Log node 'y_node' is not finite"),
        (
            [node("Transpose", "a", "u", perm=[0, 1, 3, 2]), node("Greater", "u zero", "g"),
             node("Where", "g a zero", "y")], {"zero": np.float32(0)},
            "Where node 'y_node' cannot be compiled; supported: ",
        ),
        ([node("Cos", "a", "y")], {}, "Cos node 'y_node' cannot be compiled; supported: "),
    ],
    ids=range(6),
)  # fmt: skip
def test_a_layer_that_cannot_be_compiled_is_named(nodes, constants, named):
    onnx = chain([FIRST, *nodes], CONV | constants, [1, 3, 4, 4])
    with pytest.raises(InvalidModel, match=named):
        compile_model(onnx, images())


def test_every_kind_that_is_read_is_emitted():
    read = {"BatchNormalization": "Conv", "SimplifiedLayerNormalization": "RMSNormalization"}
    assert {read.get(kind, kind) for kind in SUPPORTED} <= EMITTERS.keys()
