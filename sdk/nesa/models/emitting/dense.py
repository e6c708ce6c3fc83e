"""Dense and convolutional layers, with the Relu behind them."""

from __future__ import annotations

import math

import numpy as np

from nesa.models.attributes import conv_attributes
from nesa.models.emitting.emission import Emission
from nesa.models.emitting.held import Held
from nesa.models.floats import Layer
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.quantise import (
    LOGIT_HIGH,
    PRECISE,
    Floats,
    IntegerLayer,
    Scaling,
    activation_scaling,
    quantise_layer,
    quantise_logits,
)
from nesa.protocol.edges import DType
from nesa.protocol.errors import InvalidModel


def emit(emission: Emission, layer: Layer) -> None:
    """A Gemm or Conv, its rescale, and a Relu that nothing else comes before.

    Raises:
        InvalidModel: the sums may reach 2**24, or no multiplier brings them to the output's scale.
    """
    if layer.weights is None or layer.biases is None:
        raise InvalidModel(f"{layer.name} has no weights")
    source = emission.operand(layer.source) if layer.kind == "Gemm" else emission.byte(layer.source)
    matrix, biases = _absorbed(layer, source)
    if emission.is_last(layer.target):
        peak = emission.peak(layer.target)
        integers = quantise_logits(matrix, biases, 1.0, peak)
        scaling = Scaling(DType.INT16, -LOGIT_HIGH, LOGIT_HIGH, integers.scale)
        target = layer.target
    else:
        target, scaling = activation(emission, layer)
        integers = quantise_layer(
            matrix, biases, 1.0, scaling.scale, 1 if emission.keeps_stream else PRECISE
        )
    value = _rescaled(emission, _sums(emission, layer, source, integers), integers, scaling)
    value = emission.builder.reshaped(value, emission.shape(layer.target))
    emission.held[target] = Held(value, scaling.scale)


def activation(emission: Emission, layer: Layer) -> tuple[str, Scaling]:
    """Name and scaling of what the layer gives, a Relu behind it taken in."""
    followers = emission.followers(layer.target)
    if len(followers) == 1 and followers[0].kind == "Relu":
        target = followers[0].target
        return target, activation_scaling(emission.shown(target), emission.percentile)
    return layer.target, emission.scaling(layer.target)


def _absorbed(layer: Layer, source: Held) -> tuple[Floats, Floats]:
    """Weights [N, K] that take integers, and biases [N], the input's scale and offset in them."""
    assert layer.weights is not None
    assert layer.biases is not None
    matrix = layer.weights.reshape(len(layer.weights), -1)
    offset = np.broadcast_to(source.offset, (matrix.shape[1],))
    return matrix * source.scale, layer.biases + matrix @ offset


def _sums(emission: Emission, layer: Layer, source: Held, integers: IntegerLayer) -> int:
    parameters = [
        Parameter(ParameterKind.WEIGHTS, integers.weights),
        Parameter(ParameterKind.BIASES, integers.biases),
    ]
    channels, operands = integers.weights.shape
    value, opcode = source.value, Opcode.LINEAR
    attributes: tuple[int, ...] = (int(operands), int(channels))
    edge = emission.builder.type_of(value)
    if layer.kind == "Conv":
        opcode, attributes = (
            Opcode.CONV,
            tuple(conv_attributes(layer, edge, emission.shape(layer.target))),
        )
    elif len(edge.shape) > 2:
        rows = math.prod(edge.shape[:-1])
        value = emission.builder.reshaped(value, (rows, edge.shape[-1]))
    try:
        return emission.builder.add(opcode, [value], attributes, parameters)
    except InvalidModel as error:
        raise InvalidModel(f"{layer.name}: {error}") from error


def _rescaled(emission: Emission, sums: int, integers: IntegerLayer, scaling: Scaling) -> int:
    shape = emission.builder.type_of(sums).shape
    axis = len(shape) - 1 if len(shape) < 4 else 1
    declared = scaling.edge(shape)
    return emission.builder.rescale(sums, integers.multipliers, integers.halves, declared, axis)
