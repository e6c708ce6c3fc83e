"""Inputs besides the words are derived from them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nesa.models.compile import compile_model
from nesa.models.floats import read_float_model
from nesa.models.runtime import session
from nesa.protocol.errors import InvalidModel
from tests.models.float_models import node, real_output

WORDS, LENGTH, WIDTH = 20, 5, 6


def model(*extra: str) -> bytes:
    """The mean over the words that are not padding, of words and of what `extra` looks up."""
    generator = np.random.default_rng(0)
    tables = {name: generator.normal(0, 1, (WORDS, WIDTH)) for name in ("input_ids", *extra)}
    constants = {f"{name}_table": table.astype(np.float32) for name, table in tables.items()}
    nodes, total = [node("Gather", "input_ids_table input_ids", "s")], "s"
    for name in extra:
        if name == "attention_mask":
            continue
        nodes.append(node("Gather", f"{name}_table {name}", f"{name}_rows"))
        nodes.append(node("Add", f"{total} {name}_rows", f"{name}_sum"))
        total = f"{name}_sum"
    if "attention_mask" in extra:
        constants |= {"axis": np.array([2])}
        nodes.append(node("Cast", "attention_mask", "real", to=TensorProto.FLOAT))
        nodes.append(node("Unsqueeze", "real axis", "shown"))
        nodes.append(node("Mul", f"{total} shown", "counted"))
        total = "counted"
    nodes.append(node("ReduceMean", total, "y", axes=[1], keepdims=0))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", LENGTH]) for name in tables
    ]
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    target = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", WIDTH])
    graph = helper.make_graph(nodes, "g", inputs, [target], tensors)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def rows(count: int) -> np.ndarray:
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, LENGTH + 1, (count, 1))
    return np.where(np.arange(LENGTH) < lengths, generator.integers(1, WORDS, (count, LENGTH)), 0)


@pytest.mark.parametrize(
    "extra",
    [("attention_mask",), ("token_type_ids",), ("attention_mask", "token_type_ids"),
     ("position_ids", "attention_mask")],
    ids=" ".join,
)  # fmt: skip
def test_the_answer_is_that_of_the_model_with_all_inputs(extra):
    onnx_file = model(*extra)
    made, runner = (
        compile_model(onnx_file, rows(32), percentile=100.0, padding=0),
        session(onnx_file),
    )
    for row in rows(8):
        feeds = {
            "input_ids": row[None],
            "attention_mask": (row[None] != 0).astype(np.int64),
            "token_type_ids": np.zeros((1, LENGTH), np.int64),
            "position_ids": np.arange(LENGTH)[None],
        }
        names = {item.name for item in runner.get_inputs()}
        (wanted,) = runner.run(None, {name: feeds[name] for name in names})
        assert real_output(made, row) == pytest.approx(wanted, abs=0.06)


def test_a_mask_needs_the_index_of_padding():
    with pytest.raises(InvalidModel, match="needs the index of padding"):
        read_float_model(model("attention_mask"))


def test_an_input_of_another_name_is_refused_by_name():
    with pytest.raises(InvalidModel, match="input 'speaker_ids' cannot be derived"):
        read_float_model(model("speaker_ids"), 0)


def test_two_inputs_that_are_no_words_are_refused():
    proto = onnx.load_from_string(model("token_type_ids"))
    proto.graph.input[0].name = "words"
    proto.graph.node[0].input[1] = "words"
    with pytest.raises(InvalidModel, match="one input and one output"):
        read_float_model(proto.SerializeToString())
