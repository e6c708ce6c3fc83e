"""Weights that are adapted to rounding lose less by it, and nothing else changes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("sklearn", reason="needs requirements/train.lock")

import torch

from nesa.models.compile import compile_model
from nesa.models.fine_tuning.network import read_network
from nesa.models.fine_tuning.rounding import round_activation, round_weights
from nesa.models.fine_tuning.tuning import Schedule, fine_tune
from nesa.models.quantise import Scaling, quantise
from nesa.models.runtime import session
from nesa.protocol.edges import DType
from nesa.protocol.errors import InvalidModel
from scripts import train_breast_cancer
from scripts.training import export, train
from tests.models.float_models import build, convolutions, draws, node, real_output, two_layers

pytestmark = pytest.mark.train

GENERATOR = np.random.default_rng(3)
ROWS = GENERATOR.normal(size=(400, 6)).astype(np.float32)
QUICK = Schedule(epochs=20)

VECTOR = [1, 6]
IMAGE = [1, 2, 6, 6]
CONSTANTS = {
    "w": draws(GENERATOR, 6, 4),
    "u": draws(GENERATOR, 4, 6),
    "c": draws(GENERATOR, 4),
    "k": draws(GENERATOR, 4, 1, 3, 3),
    "s": np.array([0.5, 2.0], np.float32),
    "v": np.array([0.3, 0.9], np.float32),
    "g": np.linspace(0.5, 1.5, 6).astype(np.float32),
    "half": np.array(0.5, np.float32),
    "one": np.array([1], np.int64),
    "zero": np.array([0], np.int64),
    "shape": np.array([0, 3, -1], np.int64),
    "twice": np.array([1, 1, 2, 2], np.float32),
    "rows": np.array([[3, 1], [0, 3]], np.int64),
}

NEAREST = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}

GRAPHS = {
    "Add": (VECTOR, [node("Add", "x g", "y")]),
    "AveragePool": (IMAGE, [node("AveragePool", "x", "y", kernel_shape=[2, 2], strides=[2, 2])]),
    "AveragePool pads": (
        IMAGE,
        [node("AveragePool", "x", "y", kernel_shape=[3, 3], pads=[1, 1, 0, 1])],
    ),
    "BatchNormalization": (IMAGE, [node("BatchNormalization", "x s v v s", "y", epsilon=1e-3)]),
    "Cast": (VECTOR, [node("Cast", "x", "i", to=7), node("Cast", "i", "y", to=1)]),
    "Clip": (VECTOR, [node("Neg", "half", "low"), node("Clip", "x low half", "y")]),
    "Concat": (VECTOR, [node("Relu", "x", "r"), node("Concat", "x r", "y", axis=1)]),
    "Conv": (
        IMAGE,
        [node("Conv", "x k c", "y", group=2, pads=[1, 0, 2, 1], strides=[2, 1])],
    ),
    "Div": (VECTOR, [node("Div", "x g", "y")]),
    "Equal": (VECTOR, [node("Equal", "x x", "e"), node("Cast", "e", "y", to=1)]),
    "Erf": (VECTOR, [node("Erf", "x", "y")]),
    "Exp": (VECTOR, [node("Exp", "x", "y")]),
    "Flatten": (IMAGE, [node("Flatten", "x", "y")]),
    "Gather": (VECTOR, [node("Gather", "x rows", "y", axis=1)]),
    "Gemm": (VECTOR, [node("Gemm", "x u c", "y", transB=1, alpha=0.5, beta=2.0)]),
    "GlobalAveragePool": (IMAGE, [node("GlobalAveragePool", "x", "y")]),
    "LayerNormalization": (VECTOR, [node("LayerNormalization", "x g g", "y", epsilon=1e-3)]),
    "LeakyRelu": (VECTOR, [node("LeakyRelu", "x", "y", alpha=0.2)]),
    "MatMul": (VECTOR, [node("MatMul", "x w", "y")]),
    "MaxPool pads": (IMAGE, [node("MaxPool", "x", "y", kernel_shape=[3, 3], pads=[1, 0, 1, 1])]),
    "Mul": (VECTOR, [node("Mul", "x g", "y")]),
    "Not": (
        VECTOR,
        [node("Equal", "x x", "e"), node("Not", "e", "n"), node("Cast", "n", "y", to=1)],
    ),
    "Pow": (VECTOR, [node("Exp", "x", "a"), node("Pow", "a half", "y")]),
    "ReduceMean": (IMAGE, [node("ReduceMean", "x", "y", axes=[2, 3], keepdims=0)]),
    "ReduceSum": (IMAGE, [node("ReduceSum", "x one", "y")]),
    "Reshape": (VECTOR, [node("Reshape", "x shape", "y")]),
    "Resize": (IMAGE, [onnx.helper.make_node("Resize", ["x", "", "twice"], ["y"], **NEAREST)]),
    "Sigmoid": (VECTOR, [node("Sigmoid", "x", "y")]),
    "Softmax": (VECTOR, [node("Softmax", "x", "y", axis=-1)]),
    "Squeeze": (VECTOR, [node("Squeeze", "x zero", "y")]),
    "Sub": (VECTOR, [node("Sub", "x g", "y")]),
    "Tanh": (VECTOR, [node("Tanh", "x", "y")]),
    "Transpose": (IMAGE, [node("Transpose", "x", "y", perm=[0, 2, 3, 1])]),
    "Unsqueeze": (VECTOR, [node("Unsqueeze", "x one", "y")]),
    "Where": (
        VECTOR,
        [node("Relu", "x", "r"), node("Equal", "x r", "e"), node("Where", "e x half", "y")],
    ),
}


def one_graph(name) -> bytes:
    """The graph of this name, its output of any shape."""
    shape, nodes = GRAPHS[name]
    used = {operand for item in nodes for operand in item.input}
    held = {name: value for name, value in CONSTANTS.items() if name in used}
    proto = onnx.load_model_from_string(build(nodes, held, shape, "y"))
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(proto).SerializeToString()


@pytest.mark.parametrize("name", GRAPHS)
def test_an_operator_computes_what_onnx_runtime_computes(name):
    data = one_graph(name)
    network, runner = read_network(data), session(data)
    rows = np.random.default_rng(1).normal(size=[3, *network.input_shape]).astype(np.float32)
    constants = network.tensors()
    answers = torch.vmap(lambda row: network.run(row, constants, {})["y"])(torch.from_numpy(rows))
    expected = np.stack([runner.run(None, {"x": row})[0] for row in rows])
    assert answers.shape == expected.shape
    assert np.allclose(answers.numpy(), expected, atol=1e-5)


def test_activations_are_rounded_as_the_compiler_does():
    scaling = Scaling(DType.INT8, -127, 127, 0.01)
    values = np.random.default_rng(1).normal(size=1000)
    rounded = round_activation(torch.from_numpy(values), scaling).numpy()
    assert np.allclose(rounded, quantise(values, scaling) * 0.01)


@pytest.mark.parametrize("axis", [0, -1])
def test_weights_have_127_steps_on_either_side_of_zero_in_each_channel(axis):
    weights = np.random.default_rng(1).normal(size=(5, 5)) * np.logspace(-3, 3, 5)
    rounded = round_weights(torch.from_numpy(weights), axis, torch.ones(5)).numpy()
    peaks = np.abs(weights).max(axis=1 - axis % 2, keepdims=True)
    steps = rounded / peaks * 127
    assert np.allclose(steps, np.rint(steps), atol=1e-6)
    assert np.abs(steps).max() == pytest.approx(127)
    assert np.all(np.abs(rounded - weights) <= peaks / 254 * (1 + 1e-6))


def test_a_channel_of_zeros_stays_zero():
    assert not round_weights(torch.zeros(2, 3), 0, torch.ones(2)).any()


def test_gradients_pass_the_rounding_and_stop_at_the_clip():
    scaling = Scaling(DType.UINT8, 0, 255, 0.1)
    values = torch.tensor([-1.0, 3.14, 99.0], requires_grad=True)
    round_activation(values, scaling).sum().backward()
    assert values.grad.tolist() == [0, 1, 0]


@pytest.fixture(scope="module")
def data():
    return train_breast_cancer.data()


@pytest.fixture(scope="module")
def teacher(data):
    """A network that has been trained: nothing can be won where weights are random."""
    network = train(train_breast_cancer.network, data, train_breast_cancer.TRAINING)
    return export(network, data)


@pytest.fixture(scope="module")
def tuned(teacher, data):
    return fine_tune(teacher, data.train, QUICK)


def test_the_integer_model_comes_nearer_to_the_float_model(teacher, tuned, data):
    """On rows that fine-tuning never saw, against the model as it was."""
    before, after = (integer_error(model, teacher, data) for model in (teacher, tuned.onnx))
    assert tuned.error_after < tuned.error_before
    assert after < before


def integer_error(model, teacher, data):
    """Mean square of what the compiled `model` differs from the float `teacher`."""
    compiled, runner = compile_model(model, data.train), session(teacher)
    name = runner.get_inputs()[0].name
    differences = [
        real_output(compiled, row) - runner.run(None, {name: row[None].astype(np.float32)})[0]
        for row in data.test.features
    ]
    return np.mean(np.square(differences))


def test_only_weights_change(teacher, tuned):
    before, after = (onnx.load_model_from_string(model) for model in (teacher, tuned.onnx))
    assert before.graph.initializer != after.graph.initializer
    del before.graph.initializer[:], after.graph.initializer[:]
    assert before == after


def test_a_final_arg_max_is_trained_through():
    rows = np.random.default_rng(1).normal(size=(16, 1, 8, 8)).astype(np.float32)
    tuned = fine_tune(convolutions(last="ArgMax"), rows, Schedule(1))
    assert 0 < tuned.error_after <= tuned.error_before
    assert session(tuned.onnx).get_outputs()[0].type == "tensor(int64)"


def test_equal_schedules_give_equal_weights():
    first, second = (fine_tune(two_layers(), ROWS, Schedule(2)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("schedule", [Schedule(0), Schedule(3, learning_rate=100.0)])
def test_where_nothing_gets_better_the_model_stays_as_it_was(schedule):
    tuned = fine_tune(two_layers(), ROWS, schedule)
    assert tuned.onnx == two_layers()
    assert tuned.error_after == tuned.error_before


BAD_ROWS = {
    "two calibration rows": ROWS[:1],
    "must fill an input of shape": ROWS[:, :5],
    "NaN or infinity": np.where(ROWS > 3, np.nan, ROWS),
}


@pytest.mark.parametrize("problem", BAD_ROWS)
def test_rows_that_do_not_fit_are_refused(problem):
    with pytest.raises(InvalidModel, match=problem):
        fine_tune(two_layers(), BAD_ROWS[problem], QUICK)


BAD_GRAPHS = {
    "Hardmax node 'y_node' cannot be fine-tuned": [node("Hardmax", "x", "y")],
    "no weights to fine-tune": [node("Relu", "x", "y")],
    "must have one output": [onnx.helper.make_node("Split", ["x"], ["y", "z"], "split")],
}


@pytest.mark.parametrize("problem", BAD_GRAPHS)
def test_a_graph_that_cannot_be_trained_says_why(problem):
    with pytest.raises(InvalidModel, match=problem):
        fine_tune(build(BAD_GRAPHS[problem], {}, VECTOR, "y"), ROWS, QUICK)


def test_what_is_no_onnx_file_is_refused():
    with pytest.raises(InvalidModel, match="not a valid ONNX file"):
        fine_tune(b"no model", ROWS, QUICK)
