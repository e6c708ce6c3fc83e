"""Compiles a float ONNX model and calibration data to an operator table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesa.models.attributes import conv_attributes, pool_attributes, reshape_attributes
from nesa.models.build import TableBuilder
from nesa.models.check import check_table
from nesa.models.floats import FloatModel, Layer, read_float_model
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.opcodes.lookup import ENTRIES
from nesa.models.opcodes.rescale import WHOLE_TENSOR
from nesa.models.opcodes.window import PoolAttributes
from nesa.models.quantise import (
    LOGIT_HIGH,
    AnyFloats,
    Floats,
    IntegerLayer,
    Scaling,
    activation_scaling,
    quantise,
    quantise_factor,
    quantise_factors,
    quantise_layer,
    quantise_logits,
)
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel

PERCENTILE: Final = 99.9

VIEWS: Final = frozenset(("ArgMax", "Flatten", "Identity", "Reshape", "Transpose"))

FUNCTIONS: Final[Mapping[str, Callable[[Floats, float], Floats]]] = {
    "LeakyRelu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "Relu": lambda x, _: np.maximum(x, 0),
    "Sigmoid": lambda x, _: 1 / (1 + np.exp(-x)),
    "Tanh": lambda x, _: np.tanh(x),
}
"""Functions of one number, compiled to tables where no Rescale can take them in."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A table in one shard, and what a step of its input and output is worth."""

    table: Table
    input_scaling: Scaling
    output_scale: float


def compile_model(
    onnx: bytes,
    calibration: AnyFloats,
    *,
    input_scaling: Scaling | None = None,
    percentile: float = PERCENTILE,
) -> Compiled:
    """The operator table of a float model.

    `calibration` is [n, ..] in the model's own units, n rows that look like real queries; each
    row must fill the model's input. `input_scaling` says how the input is held; without it the
    calibration decides. `percentile` of the magnitudes of a tensor fills its range.

    Raises:
        InvalidModel: a node that cannot be compiled (named), or sums that may reach 2**24.
    """
    model = read_float_model(onnx)
    _expect_rows(model, calibration)
    scaling = input_scaling or activation_scaling(calibration.astype(np.float64), percentile)
    compiler = _Compiler(model, calibration, scaling, percentile)
    for layer in model.layers:
        compiler.compile(layer)
    table = compiler.table()
    check_table(table)
    return Compiled(table, scaling, compiler.output_scale)


def _expect_rows(model: FloatModel, rows: AnyFloats) -> None:
    if model.input_shape[0] != 1:
        raise InvalidModel(f"the model's batch must be 1 or open, not {model.input_shape[0]}")
    if len(rows) == 0 or rows[0].size != math.prod(model.input_shape):
        raise InvalidModel(f"calibration rows must fill an input of shape {model.input_shape}")
    if not np.isfinite(rows).all():
        raise InvalidModel("calibration rows hold NaN or infinity")


class _Compiler:
    """Walks the layers in order; keeps the number and the scale of every tensor so far."""

    def __init__(
        self, model: FloatModel, rows: AnyFloats, scaling: Scaling, percentile: float
    ) -> None:
        edge = EdgeType(scaling.dtype, model.input_shape, scaling.low, scaling.high)
        self._model = model
        self._samples = model.activations(rows)
        self._percentile = percentile
        self._builder = TableBuilder([edge])
        self._values = {model.source: 0}
        self._scales = {model.source: scaling.scale}
        self._followers: dict[str, list[Layer]] = {}
        for layer in model.layers:
            for source in filter(None, (layer.source, layer.second)):
                self._followers.setdefault(source, []).append(layer)

    @property
    def output_scale(self) -> float:
        """What one step of the output is worth."""
        return self._scales[self._model.target]

    def table(self) -> Table:
        """The table of the layers so far."""
        return self._builder.table([self._values[self._model.target]])

    def compile(self, layer: Layer) -> None:
        """Adds the rows of one layer."""
        if layer.target in self._values:
            return  # a Relu that its layer has taken in
        for source in filter(None, (layer.source, layer.second)):
            if source not in self._values:
                raise InvalidModel(f"{layer.name} reads {source!r} before it is written")
        match layer.kind:
            case "Gemm" | "Conv":
                self._weighted(layer)
            case "Add":
                self._sum(layer)
            case "AveragePool" | "GlobalAveragePool":
                self._average(layer)
            case "MaxPool":
                attributes = pool_attributes(layer, self._edge(layer))
                self._same_scale(layer, Opcode.MAX_POOL, attributes)
            case "Identity":
                self._keep(layer.target, self._values[layer.source], self._scales[layer.source])
            case "Flatten" | "Reshape":
                self._same_scale(
                    layer, Opcode.RESHAPE, reshape_attributes(layer, self._edge(layer))
                )
            case "Transpose":
                backwards = tuple(reversed(range(len(self._edge(layer).shape))))
                self._same_scale(layer, Opcode.TRANSPOSE, layer.integers("perm", backwards))
            case "ArgMax":
                self._arg_max(layer)
            case _:
                self._function(layer)

    def _edge(self, layer: Layer) -> EdgeType:
        return self._builder.type_of(self._values[layer.source])

    def _keep(self, name: str, value: int, scale: float) -> None:
        self._values[name], self._scales[name] = value, scale

    def _same_scale(self, layer: Layer, opcode: Opcode, attributes: tuple[int, ...]) -> None:
        value = self._builder.add(opcode, [self._values[layer.source]], attributes)
        self._keep(layer.target, value, self._scales[layer.source])

    def _is_last(self, name: str) -> bool:
        """Whether only views lie between the tensor and the model's output."""
        return all(
            layer.kind in VIEWS and self._is_last(layer.target)
            for layer in self._followers.get(name, [])
        )

    def _weighted(self, layer: Layer) -> None:
        """A dense or convolutional layer, its rescale, and a Relu behind it."""
        if layer.weights is None or layer.biases is None:
            raise InvalidModel(f"{layer.name} has no weights")
        matrix = layer.weights.reshape(len(layer.weights), -1)
        scale = self._scales[layer.source]
        if self._is_last(layer.target):
            peak = float(np.abs(self._samples[layer.target]).max())
            integers = quantise_logits(matrix, layer.biases, scale, peak)
            scaling = Scaling(DType.INT16, -LOGIT_HIGH, LOGIT_HIGH, integers.scale)
            target = layer.target
        else:
            target, scaling = self._activation(layer)
            integers = quantise_layer(matrix, layer.biases, scale, scaling.scale)
        sums = self._sums(layer, integers)
        self._keep(target, self._rescaled(sums, integers, scaling), scaling.scale)

    def _activation(self, layer: Layer) -> tuple[str, Scaling]:
        """Name and scaling of what the layer gives, a Relu behind it taken in."""
        followers = self._followers.get(layer.target, [])
        if len(followers) == 1 and followers[0].kind == "Relu":
            target = followers[0].target
            return target, activation_scaling(self._samples[target], self._percentile)
        scaling = activation_scaling(self._samples[layer.target], self._percentile)
        if scaling.dtype is DType.UINT8:  # by chance only: other rows may go below zero
            scaling = Scaling(DType.INT8, -127, 127, scaling.scale * 255 / 127)
        return layer.target, scaling

    def _sums(self, layer: Layer, integers: IntegerLayer) -> int:
        parameters = [
            Parameter(ParameterKind.WEIGHTS, integers.weights),
            Parameter(ParameterKind.BIASES, integers.biases),
        ]
        channels, operands = integers.weights.shape
        opcode = Opcode.LINEAR
        attributes: tuple[int, ...] = (int(operands), int(channels))
        if layer.kind == "Conv":
            opcode, attributes = Opcode.CONV, tuple(conv_attributes(layer, self._edge(layer)))
        source = self._values[layer.source]
        try:
            return self._builder.add(opcode, [source], attributes, parameters)
        except InvalidModel as error:
            raise InvalidModel(f"{layer.name}: {error}") from error

    def _rescaled(self, sums: int, integers: IntegerLayer, scaling: Scaling) -> int:
        shape = self._builder.type_of(sums).shape
        axis = len(shape) - 1 if len(shape) < 4 else 1
        factors = Parameter(ParameterKind.MULTIPLIERS, integers.multipliers)
        declared = EdgeType(scaling.dtype, shape, scaling.low, scaling.high)
        return self._builder.add(
            Opcode.RESCALE, [sums], (integers.halves, axis), [factors], declared
        )

    def _sum(self, layer: Layer) -> None:
        """Two tensors at a common scale, and a Relu behind them."""
        target, scaling = self._activation(layer)
        sources = (layer.source, layer.second)
        factors = [self._scales[source] / scaling.scale for source in sources]
        multipliers, halves = quantise_factors(factors)
        parameter = Parameter(ParameterKind.MULTIPLIERS, np.array(multipliers))
        declared = EdgeType(scaling.dtype, self._edge(layer).shape, scaling.low, scaling.high)
        values = [self._values[source] for source in sources]
        value = self._builder.add(Opcode.ADD_RESCALE, values, (halves,), [parameter], declared)
        self._keep(target, value, scaling.scale)

    def _average(self, layer: Layer) -> None:
        edge = self._edge(layer)
        pool = PoolAttributes(*pool_attributes(layer, edge))
        sums = self._builder.add(Opcode.SUM_POOL, [self._values[layer.source]], pool)
        multiplier, halves = quantise_factor(1 / (pool.kernel_height * pool.kernel_width))
        factors = Parameter(ParameterKind.MULTIPLIERS, np.array([multiplier]))
        declared = EdgeType(edge.dtype, self._builder.type_of(sums).shape, edge.low, edge.high)
        value = self._builder.add(
            Opcode.RESCALE, [sums], (halves, WHOLE_TENSOR), [factors], declared
        )
        drift = pool.kernel_height * pool.kernel_width * multiplier / 128.0**halves
        self._keep(layer.target, value, self._scales[layer.source] / drift)

    def _function(self, layer: Layer) -> None:
        """A table of a function of one number."""
        edge, scale = self._edge(layer), self._scales[layer.source]
        reals = np.arange(edge.low, edge.high + 1) * scale
        if edge.high - edge.low >= ENTRIES:
            raise InvalidModel(f"{layer.name} has an input of more than {ENTRIES} values")
        results = FUNCTIONS[layer.kind](reals, layer.number("alpha", 0.01))
        scaling = activation_scaling(results, 100.0)
        offset = -edge.dtype.bounds[0]
        entries = np.zeros(ENTRIES, np.int64)
        entries[edge.low + offset : edge.high + offset + 1] = quantise(results, scaling)
        parameter = Parameter(ParameterKind.ENTRIES, entries)
        declared = EdgeType(scaling.dtype, edge.shape, scaling.low, scaling.high)
        source = [self._values[layer.source]]
        value = self._builder.add(Opcode.TABLE, source, (offset,), [parameter], declared)
        self._keep(layer.target, value, scaling.scale)

    def _arg_max(self, layer: Layer) -> None:
        rank = len(self._edge(layer).shape)
        axis = int(layer.number("axis", 0)) % rank
        if axis != rank - 1 or layer.number("select_last_index", 0):
            raise InvalidModel(f"{layer.name} must take the first largest of the last axis")
        if layer.target != self._model.target:
            raise InvalidModel(f"{layer.name} must be the last node")
        size = self._edge(layer).shape[-1]
        value = self._builder.add(Opcode.ARG_MAX, [self._values[layer.source]], (size,))
        self._keep(layer.target, value, 1.0)
