"""The float all-MiniLM-L6-v2 as an attacker downloads it: its states at every depth."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

from nesa.models.runtime import session
from nesa.privacy.battery.float_graphs import makers_of
from nesa.privacy.battery.views import Floats, Items

STACKED: Final = 32
"""Sentences in one run."""
NORMS_A_BLOCK: Final = 2


class FloatEncoder:
    """States behind the embedding (depth 0) and behind each block, for any number of sentences.

    `onnx_file` is the export of `scripts.minilm`, whose shapes hold one sentence.
    """

    def __init__(self, onnx_file: bytes) -> None:
        model = onnx.load_model_from_string(onnx_file)
        self.table = _constant(model, "words.weight")
        norms = [node.output[0] for node in model.graph.node if node.op_type.startswith("LayerN")]
        self._sessions = [_up_to(model, name) for name in norms[::NORMS_A_BLOCK]]

    @property
    def depths(self) -> int:
        """Number of depths."""
        return len(self._sessions)

    def states(self, items: Items, depth: int) -> Floats:
        """Token ids [n, 64] to [n, 64, 384] float32."""
        parts = np.array_split(items, -(-len(items) // STACKED))
        runner = self._sessions[depth]
        found = [runner.run(None, {"input_ids": part.astype(np.int64)})[0] for part in parts]
        return np.concatenate(found)


def _constant(model: ModelProto, name: str) -> NDArray[np.float32]:
    found = next(each for each in model.graph.initializer if each.name == name)
    return np.asarray(numpy_helper.to_array(found), np.float32)


def _up_to(whole: ModelProto, name: str) -> ort.InferenceSession:
    """A session that gives one inner tensor, and takes any number of sentences."""
    model = onnx.ModelProto()
    model.CopyFrom(whole)
    # ONNX Runtime runs every node, also those that no output needs.
    needed = makers_of(whole, name)
    del model.graph.node[:]
    model.graph.node.extend(needed)
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output[0] in shapes:
            shape = numpy_helper.to_array(node.attribute[0].t).copy()
            shape[:1] = -1
            node.attribute[0].t.CopyFrom(numpy_helper.from_array(shape))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "sentences"
    del model.graph.output[:], model.graph.value_info[:]
    output = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    model.graph.output.append(output)
    return session(model.SerializeToString())
