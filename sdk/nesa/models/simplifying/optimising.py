"""Constant folding and batch-norm folding of a float model, by ONNX Runtime's own optimiser."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import onnx
import onnxruntime as ort

from nesa.protocol.errors import InvalidModel

UNWANTED: Final = ["MatMulAddFusion"]
"""Wraps every dense layer of a sequence into two reshapes."""


def optimised(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with open batch sizes set to 1 and everything constant worked out.

    ONNX Runtime's basic level folds shapes, constants, biases and batch norms, and fuses nothing
    into operators of its own.

    Raises:
        InvalidModel: ONNX Runtime cannot load the model.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    for info in fixed.graph.input:
        for axis, size in enumerate(info.type.tensor_type.shape.dim):
            if axis == 0 and not size.dim_value:
                size.dim_value = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simplified.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3
        try:
            ort.InferenceSession(
                fixed.SerializeToString(),
                options,
                ["CPUExecutionProvider"],
                disabled_optimizers=UNWANTED,
            )
        except Exception as error:  # onnxruntime's own exceptions share no public base
            raise InvalidModel(f"ONNX Runtime cannot load the model: {error}") from error
        return onnx.load(str(path))
