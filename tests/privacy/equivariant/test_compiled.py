"""Models as the compiler makes them, with windows, padding, residuals and masks: the float graph
and the integer table under the same key."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from nesa.models.compile import compile_model
from nesa.models.reference import run
from nesa.models.runtime import session
from nesa.privacy.equivariant.graphs import transform_graph
from nesa.privacy.equivariant.tables import transform
from tests.models import image_models
from tests.models.float_models import convolutions, node, residual, two_layers
from tests.models.test_emitting import encoder, sentences
from tests.privacy.equivariant.float_graphs import KEY
from tests.privacy.equivariant.test_tables import answered

Rows = np.ndarray


def rows(*shape: int) -> Rows:
    return np.random.default_rng(3).normal(0, 1, (24, *shape)).astype(np.float32)


def padded() -> bytes:
    """A pool over the edge, which the compiler writes as slices and joints."""
    pool = node("AveragePool", "a", "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    return image_models.compiled([pool])[0]


MODELS: dict[str, tuple[Callable[[], bytes], Rows]] = {
    "dense": (two_layers, rows(6)),
    "bent": (lambda: two_layers("Tanh"), rows(6)),
    "residual": (residual, rows(6)),
    "convolutions": (convolutions, rows(1, 8, 8)),
    "labels": (lambda: convolutions("ArgMax"), rows(1, 8, 8)),
    "padded": (padded, image_models.images()),
    "encoder": (encoder, sentences(24, 1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_table_answers_bit_for_bit_and_the_graph_to_rounding(name: str) -> None:
    make, data = MODELS[name]
    exported = make()
    padding = 0 if name == "encoder" else None
    table = compile_model(exported, data, percentile=100.0, padding=padding).table
    edge = table.inputs[0]
    random = np.random.default_rng(1)
    for _ in range(3):
        given = [edge.encode(random.integers(edge.low, edge.high + 1, edge.shape))]
        assert answered(table, given) == run(table, given)
    assert transform(table, KEY).table.operators_root != table.operators_root
    graph_agrees(onnx.load_model_from_string(exported), data)


def graph_agrees(proto: onnx.ModelProto, data: Rows) -> None:
    made = transform_graph(proto, KEY)
    plain, other = (session(one.SerializeToString()) for one in (proto, made.proto))
    name, kind = proto.graph.input[0].name, np.int64 if data.dtype.kind == "i" else np.float32
    for row in data[:3]:
        given = row[None].astype(kind)
        (sent,) = made.frames.encode_inputs(KEY, [given])
        answers = other.run(None, {name: sent.astype(kind)})
        (back,) = made.frames.decode_outputs(KEY, answers)
        (expected,) = plain.run(None, {name: given})
        assert np.abs(back - expected).max() < 1e-4
