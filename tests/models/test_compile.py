"""Float models become tables that answer nearly the same; what cannot is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.models.compile import compile_model
from nesa.models.floats import read_float_model
from nesa.models.graph import Opcode, ParameterKind
from nesa.models.quantise import Scaling
from nesa.models.runtime import session
from nesa.protocol.edges import DType
from nesa.protocol.errors import InvalidModel
from tests.models.float_models import (
    build,
    convolutions,
    draws,
    node,
    real_output,
    residual,
    two_layers,
)


def rows(*shape: int, count: int = 64) -> np.ndarray:
    """Rows that look like queries."""
    return np.random.default_rng(5).normal(0, 1, (count, *shape)).astype(np.float32)


def float_output(onnx: bytes, row: np.ndarray) -> np.ndarray:
    """What the float model answers."""
    runner = session(onnx)
    (result,) = runner.run(None, {"x": row.reshape(1, *row.shape)})
    return result


@pytest.mark.parametrize("activation", ["Relu", "Tanh", "Sigmoid", "LeakyRelu", "Identity"])
def test_a_dense_model_answers_nearly_the_same(activation):
    onnx, data = two_layers(activation), rows(6)
    compiled = compile_model(onnx, data)
    for row in data[:20]:
        assert real_output(compiled, row) == pytest.approx(float_output(onnx, row), abs=0.06)


def test_a_convolutional_model_answers_nearly_the_same():
    onnx, data = convolutions(), rows(1, 8, 8)
    compiled = compile_model(onnx, data)
    for row in data[:20]:
        assert real_output(compiled, row) == pytest.approx(float_output(onnx, row), abs=0.06)


def test_a_residual_model_answers_nearly_the_same():
    onnx, data = residual(), rows(6)
    compiled = compile_model(onnx, data)
    assert Opcode.ADD_RESCALE in [row.opcode for row in compiled.table.rows]
    for row in data[:20]:
        assert real_output(compiled, row) == pytest.approx(float_output(onnx, row), abs=0.06)


def test_a_model_that_ends_in_arg_max_gives_the_place():
    data = rows(1, 8, 8)
    logits, places = (
        compile_model(convolutions(), data),
        compile_model(convolutions("ArgMax"), data),
    )
    for row in data[:20]:
        assert real_output(places, row).item() == real_output(logits, row).argmax()


def test_the_table_has_the_rows_that_were_meant():
    codes = [row.opcode for row in compile_model(two_layers(), rows(6)).table.rows]
    assert codes == [Opcode.LINEAR, Opcode.RESCALE] * 2


def test_a_relu_makes_its_layer_one_sided():
    table = compile_model(two_layers(), rows(6)).table
    hidden, logits = table.rows[1].output_type, table.rows[3].output_type
    assert (hidden.dtype, hidden.low, hidden.high) == (DType.UINT8, 0, 255)
    assert (logits.dtype, logits.low, logits.high) == (DType.INT16, -32767, 32767)


def test_an_activation_that_is_never_negative_by_chance_stays_two_sided():
    nodes = [node("MatMul", "x w", "m"), node("Tanh", "m", "h"), node("MatMul", "h w", "y")]
    onnx = build(nodes, {"w": np.eye(6, dtype=np.float32)}, [1, 6], "y")
    table = compile_model(onnx, np.abs(rows(6))).table
    assert [row.output_type.dtype for row in table.rows[1:3]] == [DType.INT8, DType.INT8]


def test_the_input_can_be_given():
    scaling = Scaling(DType.UINT8, 0, 16, 1 / 16)
    edge = compile_model(two_layers(), np.abs(rows(6)), input_scaling=scaling).table.inputs[0]
    assert (edge.dtype, edge.low, edge.high) == (DType.UINT8, 0, 16)


def test_compiling_twice_gives_one_root():
    first, second = (compile_model(convolutions(), rows(1, 8, 8)).table for _ in range(2))
    assert first.operators_root == second.operators_root


def one_node(kind: str, **attributes) -> bytes:
    """A model of a single node, and a Gemm so that something is there to calibrate."""
    return build([node(kind, "x", "y", **attributes)], {}, [1, 1, 4, 4], "y")


@pytest.mark.parametrize(
    ("onnx", "named"),
    [
        (one_node("Softmax", axis=1), "Softmax node 'y_node' must work along the last axis"),
        (one_node("Hardmax"), "Hardmax node 'y_node' cannot be compiled"),
        (
            build([node("ArgMax", "x", "place", axis=1)], {}, [1, 1, 4, 4], "place"),
            "ArgMax node 'place_node' must take",
        ),
        (
            build([node("MatMul", "w x", "y")], {"w": np.eye(4, dtype="f4")}, [1, 1, 4, 4], "y"),
            "MatMul node 'y_node' must",
        ),
        (b"not a model", "not a valid ONNX file"),
        (b"", "not a valid ONNX file"),
    ],
    ids=range(6),
)
def test_what_cannot_be_compiled_is_named(onnx, named):
    with pytest.raises(InvalidModel, match=named):
        compile_model(onnx, rows(1, 4, 4))


def test_a_dilated_convolution_is_named():
    conv = node("Conv", "x w", "y", kernel_shape=[2, 2], dilations=[2, 2])
    onnx = build([conv], {"w": np.ones((1, 1, 2, 2), np.float32)}, [1, 1, 4, 4], "y")
    with pytest.raises(
        InvalidModel, match="Conv node 'y_node' must be two-dimensional and without"
    ):
        compile_model(onnx, rows(1, 4, 4))


def test_a_layer_whose_sums_may_reach_2_to_the_24_is_named():
    weights = np.ones((1100, 1), np.float32)
    onnx = build([node("MatMul", "x w", "y")], {"w": weights}, [1, 1100], "y", [1, 1])
    with pytest.raises(InvalidModel, match=r"MatMul node 'y_node': LINEAR: worst-case sum"):
        compile_model(onnx, rows(1100, count=8))


@pytest.mark.parametrize(
    "data", [np.zeros((0, 6)), np.zeros((4, 5)), np.full((4, 6), np.nan), np.full((4, 6), np.inf)]
)
def test_calibration_rows_that_do_not_fit_are_refused(data):
    with pytest.raises(InvalidModel, match="calibration rows"):
        compile_model(two_layers(), data)


def test_a_model_with_two_inputs_is_refused():
    onnx = build([node("Identity", "x", "y")], {}, [1, 4], "nowhere")
    with pytest.raises(InvalidModel):
        read_float_model(onnx)


def test_all_zero_weights_and_samples_still_compile():
    onnx = build([node("MatMul", "x w", "y")], {"w": np.zeros((4, 2), np.float32)}, [1, 4], "y")
    compiled = compile_model(onnx, np.zeros((3, 4), np.float32))
    assert real_output(compiled, np.zeros(4)) == pytest.approx(0)


def test_a_channel_much_smaller_than_the_others_keeps_legal_multipliers():
    generator = np.random.default_rng(2)
    weights = draws(generator, 6, 4) * np.array([1, 1e-4, 30, 0], np.float32)
    nodes = [node("MatMul", "x w", "m"), node("Relu", "m", "h"), node("MatMul", "h v", "y")]
    onnx = build(nodes, {"w": weights, "v": draws(generator, 4, 2)}, [1, 6], "y", [1, 2])
    compiled, data = compile_model(onnx, rows(6)), rows(6)
    factors = compiled.table.rows[1].parameter(ParameterKind.MULTIPLIERS)
    assert factors.min() >= 64
    scale = np.abs(float_output(onnx, data[0])).max()
    assert real_output(compiled, data[0]) == pytest.approx(
        float_output(onnx, data[0]), abs=0.05 * scale + 0.3
    )
