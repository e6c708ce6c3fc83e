"""Models of language with more inputs than their words: the others follow from the words."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nesa.protocol.errors import InvalidModel


def with_one_input(proto: onnx.ModelProto, padding: int | None) -> onnx.ModelProto:
    """The model of `input_ids` alone.

    `attention_mask` says which of them are not `padding`, `token_type_ids` are 0 and
    `position_ids` count, as tokenizers give them for a single text.

    Raises:
        InvalidModel: an input with another name, or a mask without an index of padding.
    """
    fixed = {tensor.name for tensor in proto.graph.initializer}
    inputs = {info.name: info for info in proto.graph.input if info.name not in fixed}
    words = inputs.pop("input_ids", None)
    if words is None or not inputs:
        return proto
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    shape = [size.dim_value or 1 for size in words.type.tensor_type.shape.dim]
    nodes: list[NodeProto] = []
    for name, info in inputs.items():
        dtype = info.type.tensor_type.elem_type
        if name == "attention_mask":
            nodes += _mask(made, padding, dtype)
        elif name in ("token_type_ids", "position_ids"):
            counts = np.arange(shape[-1]) * (name == "position_ids")
            values = np.broadcast_to(counts, shape).astype(helper.tensor_dtype_to_np_dtype(dtype))
            made.graph.initializer.append(numpy_helper.from_array(values.copy(), name))
        else:
            raise InvalidModel(f"input {name!r} cannot be derived from input_ids")
        made.graph.input.remove(info)
    _put_first(made, nodes)
    return made


def _mask(proto: onnx.ModelProto, padding: int | None, dtype: int) -> list[NodeProto]:
    """Nodes that make the attention mask."""
    if padding is None:
        raise InvalidModel("a model with an attention_mask needs the index of padding")
    words = next(info for info in proto.graph.input if info.name == "input_ids")
    kind = helper.tensor_dtype_to_np_dtype(words.type.tensor_type.elem_type)
    name = "attention_mask_padding"
    proto.graph.initializer.append(numpy_helper.from_array(np.array(padding, kind), name))
    return [
        helper.make_node("Equal", ["input_ids", name], [f"{name}_equal"]),
        helper.make_node("Not", [f"{name}_equal"], [f"{name}_not"]),
        helper.make_node(
            "Cast", [f"{name}_not"], ["attention_mask"], to=dtype or TensorProto.INT64
        ),
    ]


def _put_first(proto: onnx.ModelProto, nodes: list[NodeProto]) -> None:
    rest = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes, *rest])
