"""Functions of one number, views, and constants of any shape, close to the floats."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.models.graph import Opcode
from nesa.models.runtime import session
from nesa.protocol.edges import DType
from tests.models.float_models import expect_agreement, node, real_output
from tests.models.image_models import SIZE, close, compiled, images

WRITTEN_OUT = {
    "erf gelu": [
        node("Div", "a sqrt2", "b"), node("Erf", "b", "c"), node("Add", "c one", "d"),
        node("Mul", "a d", "e"), node("Mul", "e half", "y"),
    ],
    "tanh gelu": [
        node("Pow", "a three", "b"), node("Mul", "b cubic", "c"), node("Add", "a c", "d"),
        node("Mul", "d slope", "e"), node("Tanh", "e", "f"), node("Add", "f one", "g"),
        node("Mul", "a half", "h"), node("Mul", "h g", "y"),
    ],
    "silu": [node("Sigmoid", "a", "s"), node("Mul", "a s", "y")],
    "mish": [node("Softplus", "a", "s"), node("Tanh", "s", "t"), node("Mul", "a t", "y")],
    "hard swish": [node("HardSigmoid", "a", "s", alpha=1 / 6, beta=0.5), node("Mul", "a s", "y")],
    "relu6": [node("Clip", "a zero six", "y")],
}  # fmt: skip
NUMBERS = {
    "sqrt2": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5),
    "three": np.float32(3), "cubic": np.float32(0.044715), "zero": np.float32(0),
    "slope": np.float32((2 / np.pi) ** 0.5), "six": np.float32(6),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_a_function_that_is_written_out_is_one_table(name):
    made = close(WRITTEN_OUT[name], NUMBERS)
    assert [row.opcode for row in made.table.rows].count(Opcode.TABLE) == 1


@pytest.mark.parametrize("name", ["silu", "erf gelu", "tanh gelu", "mish"])
def test_a_function_near_a_relu_is_finer_than_a_byte_on_a_stream(name):
    """A norm over the channels makes the model keep its stream in int16."""
    renamed = {"a": "n", "y": "z"}
    nodes = [
        node("Transpose", "a", "u", perm=[0, 2, 3, 1]),
        node("LayerNormalization", "u gain", "v", axis=-1),
        node("Transpose", "v", "n", perm=[0, 3, 1, 2]),
        *(
            node(item.op_type, " ".join(renamed.get(one, one) for one in item.input),
                 renamed.get(item.output[0], item.output[0]))
            for item in WRITTEN_OUT[name]
        ),
        node("Add", "z a", "y"),
    ]  # fmt: skip
    onnx, made = compiled(nodes, NUMBERS | {"gain": np.array([60, 1, 1, 1], np.float32)})
    assert next(item for item in made.layers if item.target == "z").edge.dtype is DType.INT16
    for row in images(6):  # one step of a byte would be 0.8
        (wanted,) = session(onnx).run(None, {"x": row[None]})
        assert np.abs(real_output(made, row) - wanted)[:, 1:].max() < 0.3
    expect_agreement(made, images(2))


@pytest.mark.parametrize(
    ("one", "constants"),
    [
        (node("Flatten", "a", "y", axis=2), {}),
        (node("Unsqueeze", "a axes", "y"), {"axes": np.array([2])}),
        (node("Squeeze", "a axes", "y"), {"axes": np.array([0])}),
        (node("Reshape", "a shape", "y"), {"shape": np.array([2, -1])}),
    ],
    ids=["flatten", "unsqueeze", "squeeze", "reshape"],
)
def test_a_view_moves_nothing(one, constants):
    close([one], constants)


@pytest.mark.parametrize(
    "kind",
    ["Relu", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "Mish", "Softplus", "Selu", "Celu"],
)
def test_a_function_of_one_number_is_a_table(kind):
    close([node(kind, "a", "y")])


@pytest.mark.parametrize("shape", [(1,), (4, 1, 1)])
def test_a_prelu_may_have_a_slope_for_each_channel(shape):
    slopes = np.linspace(-0.5, 0.7, int(np.prod(shape))).reshape(shape).astype(np.float32)
    close([node("PRelu", "a s", "y")], {"s": slopes})


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (SIZE, SIZE), (SIZE, 1), (4, SIZE, 1)])
@pytest.mark.parametrize("kind", ["Mul", "Div", "Add", "Sub", "from"])
def test_a_constant_of_any_shape_may_be_combined_with_a_tensor(kind, shape):
    generator = np.random.default_rng(2)
    constant = generator.choice([-1, 1], shape) * generator.uniform(0.5, 2, shape)
    inputs = "c a" if kind == "from" else "a c"
    one = node("Sub" if kind == "from" else kind, inputs, "y")
    close([node("Tanh", "a", "t"), one], {"c": constant.astype(np.float32)})


def test_a_gate_for_each_channel_is_a_product():
    nodes = [
        node("GlobalAveragePool", "a", "p"),
        node("Sigmoid", "p", "s"),
        node("Mul", "s a", "y"),
    ]
    close(nodes)


def test_an_expand_repeats():
    nodes = [node("GlobalAveragePool", "a", "p"), node("Expand", "p shape", "y")]
    close(nodes, {"shape": np.array([1, 4, 2, 3], np.int64)})
