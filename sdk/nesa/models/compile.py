"""Compiles a float ONNX model and calibration data to an operator table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesa.models.check import check_table
from nesa.models.emitting import dense, functions, rows, sums, views, windows
from nesa.models.emitting.emission import Emission
from nesa.models.emitting.padding import without_padding
from nesa.models.floats import FloatModel, Layer, read_float_model
from nesa.models.graph import Table
from nesa.models.quantise import AnyFloats, Scaling, activation_scaling, quantise
from nesa.models.report import Emitted, LayerReport, report
from nesa.protocol.edges import DType
from nesa.protocol.errors import InvalidModel

PERCENTILE: Final = 99.9

EMITTERS: Final[Mapping[str, Callable[[Emission, Layer], None]]] = {
    "Add": sums.add,
    "ArgMax": views.place_of_largest,
    "AveragePool": windows.average,
    "Concat": views.join,
    "Conv": dense.emit,
    "Div": sums.divide,
    "Dropout": views.view,
    "Expand": views.view,
    "Flatten": views.view,
    "Function": functions.emit,
    "Gather": views.gather,
    "Gemm": dense.emit,
    "GlobalAveragePool": windows.average,
    "GlobalMaxPool": windows.largest,
    "Identity": views.view,
    "LayerNormalization": rows.normalise,
    "MatMul": rows.multiply,
    "MaxPool": windows.largest,
    "Mul": sums.multiply,
    "ReduceMean": rows.reduce,
    "ReduceSum": rows.reduce,
    "Relu": functions.emit,
    "Reshape": views.view,
    "Resize": windows.resize,
    "RMSNormalization": rows.normalise,
    "Slice": views.part,
    "Softmax": rows.attend,
    "Split": views.part,
    "Squeeze": views.view,
    "Sub": sums.add,
    "Transpose": views.transpose,
    "Unsqueeze": views.view,
}
"""What each kind of layer becomes."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A table in one shard, what a step of its input and output is worth, and how it came out."""

    table: Table
    input_scaling: Scaling
    output_scale: float
    layers: tuple[LayerReport, ...]


def compile_model(
    onnx: bytes,
    calibration: AnyFloats,
    *,
    input_scaling: Scaling | None = None,
    percentile: float = PERCENTILE,
    padding: int | None = None,
) -> Compiled:
    """The operator table of a float model.

    `calibration` is [n, ..] in the model's own units, n rows that look like real queries; each
    row must fill the model's input. `input_scaling` says how the input is held; without it the
    calibration decides, or, for indices, the table that they look up. `percentile` of the
    magnitudes of a tensor fills its range. `padding` is the index that only fills rows of indices
    up: what the model computes at such places does not count.

    Raises:
        InvalidModel: a node that cannot be compiled (named), or sums that may reach 2**24.
    """
    model = read_float_model(onnx, padding)
    _expect_rows(model, calibration)
    scaling = input_scaling or _input_scaling(model, calibration, percentile)
    samples = model.activations(calibration)
    if padding is not None:
        samples = without_padding(samples, calibration == padding)
    emission = Emission(model, samples, scaling, percentile)
    emitted = [item for layer in model.layers for item in _emit(emission, layer)]
    output = emission.plain(model.target)
    table = emission.builder.table([output.value])
    check_table(table)
    shown = quantise(calibration.astype(np.float64).reshape(samples[model.source].shape), scaling)
    layers = report(table, emitted, samples, list(shown))
    return Compiled(table, scaling, output.step, layers)


def _emit(emission: Emission, layer: Layer) -> list[Emitted]:
    if layer.target in emission.held:
        return []  # a Relu that its layer has taken in
    for source in layer.sources:
        if source not in emission.held:
            raise InvalidModel(f"{layer.name} reads {source!r} before it is written")
    before, first = set(emission.held), emission.builder.length
    try:
        EMITTERS[layer.kind](emission, layer)
    except InvalidModel as error:
        named = str(error) if layer.name in str(error) else f"{layer.name}: {error}"
        raise InvalidModel(named) from error
    (target,) = emission.held.keys() - before
    return [Emitted(layer, target, emission.held[target], first, emission.builder.length)]


def _input_scaling(model: FloatModel, rows: AnyFloats, percentile: float) -> Scaling:
    if not model.takes_indices:
        return activation_scaling(rows.astype(np.float64), percentile)
    sizes = {
        len(layer.constants[0])
        for layer in model.layers
        if layer.kind == "Gather" and layer.source == model.source and layer.constants
    }
    if len(sizes) != 1:
        raise InvalidModel("an input of integers must look up the rows of one size of table")
    high = sizes.pop() - 1
    dtype = DType.INT16 if high <= DType.INT16.bounds[1] else DType.INT32
    return Scaling(dtype, 0, high, 1.0)


def _expect_rows(model: FloatModel, rows: AnyFloats) -> None:
    if model.input_shape[0] != 1:
        raise InvalidModel(f"the model's batch must be 1 or open, not {model.input_shape[0]}")
    if len(rows) == 0 or rows[0].size != math.prod(model.input_shape):
        raise InvalidModel(f"calibration rows must fill an input of shape {model.input_shape}")
    if not np.isfinite(rows).all():
        raise InvalidModel("calibration rows hold NaN or infinity")
