"""Layers that slide a window over an image, and those that make it larger or smaller."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nesa.models.attributes import Sliding, conv_of, sliding
from nesa.models.elementwise import IR_VERSION
from nesa.models.emitting.emission import Emission
from nesa.models.emitting.held import Held
from nesa.models.floats import Layer
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.opcodes.rescale import MULTIPLIER_HIGH
from nesa.models.quantise import quantise_factor
from nesa.models.runtime import session
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel

FINE: Final = 32
"""How much finer than the sums an average is held between its two divisions."""

RESIZE_OPSET: Final = 18

Places: TypeAlias = NDArray[np.int64]


def largest(emission: Emission, layer: Layer) -> None:
    """MaxPool and GlobalMaxPool; padding repeats the edge, which every such window holds anyway."""
    held, shape = emission.plain(layer.source), emission.shape(layer.source)
    tall, wide = sliding(layer, shape, emission.shape(layer.target))
    value = held.value
    for axis, window in ((2, tall), (3, wide)):
        if window.begin >= window.kernel or min(window.cells(0, 0)) < 1:
            raise InvalidModel(f"{layer.name} has a window of padding alone")
        value = _edged(emission, value, axis, window)
    value = emission.builder.add(Opcode.MAX_POOL, [value], _pool(emission, value, tall, wide))
    emission.held[layer.target] = Held(value, held.step)


def average(emission: Emission, layer: Layer) -> None:
    """AveragePool and GlobalAveragePool: a sum, rescaled by about one over what it counts."""
    held = emission.byte(layer.source)
    edge = emission.builder.type_of(held.value)
    tall, wide = sliding(layer, edge.shape, emission.shape(layer.target))
    sums = _sums(emission, held.value, tall, wide)
    rows, columns = (_counted(layer, axis, window) for axis, window in enumerate((tall, wide)))
    shape = emission.builder.type_of(sums).shape
    declared = EdgeType(edge.dtype, shape, min(edge.low, 0), max(edge.high, 0))
    if not any((tall.begin, tall.end, wide.begin, wide.end)):
        declared = EdgeType(edge.dtype, shape, edge.low, edge.high)
    if len({*rows}) > 1 or len({*columns}) > 1:
        value = _divided(emission, sums, (rows, columns), declared)
        emission.held[layer.target] = Held(value, held.step)
        return
    multiplier, halves = quantise_factor(1 / (rows[0] * columns[0]))
    value = emission.builder.rescale(sums, [multiplier], halves, declared)
    drift = rows[0] * columns[0] * multiplier / 128.0**halves
    emission.held[layer.target] = Held(value, held.step / drift)


def resize(emission: Emission, layer: Layer) -> None:
    """Resize to the nearest pixel: rows and columns once, several times, or not at all."""
    held = emission.plain(layer.source)
    before, after = emission.shape(layer.source), emission.shape(layer.target)
    is_nearest = layer.attributes.get("mode", b"nearest") == b"nearest"
    if not is_nearest or len(before) != 4 or before[:2] != after[:2]:
        raise InvalidModel(f"{layer.name} must resize height and width to the nearest pixel")
    value = held.value
    for axis, places in zip((2, 3), _nearest(layer, before), strict=True):
        value = _picked(emission, value, axis, places)
    emission.held[layer.target] = Held(value, held.step)


def _pool(emission: Emission, value: int, tall: Sliding, wide: Sliding) -> tuple[int, ...]:
    """Attributes of a pooling row over a value that needs no padding any more."""
    _, *sizes = emission.builder.type_of(value).shape
    return (*sizes, tall.kernel, wide.kernel, tall.stride, wide.stride)


def _edged(emission: Emission, value: int, axis: int, window: Sliding) -> int:
    """The value with its first and last places repeated as often as there is padding."""
    size = window.size
    first = [_part(emission, value, axis, 0, 1)] * window.begin if window.begin else []
    last = [_part(emission, value, axis, size - 1, size)] * window.end if window.end else []
    if not first and not last:
        return value
    return emission.builder.joined([*first, value, *last], axis)


def _sums(emission: Emission, value: int, tall: Sliding, wide: Sliding) -> int:
    """The sum of every window; with padding by a convolution of ones, which counts it as 0."""
    if not any((tall.begin, tall.end, wide.begin, wide.end)):
        pool = _pool(emission, value, tall, wide)
        return emission.builder.add(Opcode.SUM_POOL, [value], pool)
    channels = emission.builder.type_of(value).shape[1]
    parameters = [
        Parameter(ParameterKind.WEIGHTS, np.ones((channels, tall.kernel * wide.kernel), np.int64)),
        Parameter(ParameterKind.BIASES, np.zeros(channels, np.int64)),
    ]
    attributes = conv_of(channels, channels, tall, wide)
    return emission.builder.add(Opcode.CONV, [value], attributes, parameters)


def _counted(layer: Layer, axis: int, window: Sliding) -> list[int]:
    """What the sum of each window is divided by, along one axis."""
    if not layer.number("count_include_pad", 0):
        return window.cells(0, 0)
    given = layer.attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
    pads = layer.integers("pads", (0, 0, 0, 0))
    return window.cells(window.begin, pads[axis + 2] if given else window.end)


def _divided(
    emission: Emission, sums: int, counts: tuple[list[int], list[int]], declared: EdgeType
) -> int:
    """Sums over the count of their rows, then, from steps that are finer, of their columns."""
    edge = emission.builder.type_of(sums)
    between = EdgeType(DType.INT32, edge.shape, min(FINE * edge.low, 0), FINE * edge.high)
    factors = FINE / np.array(counts[0]), 1 / FINE / np.array(counts[1])
    value = sums
    for axis, factor, wanted in ((2, factors[0], between), (3, factors[1], declared)):
        halves = max(h for h in (1, 2, 3, 4) if factor.max() * 128.0**h <= MULTIPLIER_HIGH)
        multipliers = np.rint(factor * 128.0**halves).astype(np.int64)
        value = emission.builder.rescale(value, multipliers, halves, wanted, axis)
    return value


def _nearest(layer: Layer, before: tuple[int, ...]) -> tuple[Places, Places]:
    """Which row and column each row and column of the result is, by ONNX Runtime."""
    height, width = before[2:]
    (wanted,) = layer.constants[-1:] or (None,)
    if (
        wanted is None
        or layer.attributes.get("coordinate_transformation_mode") == b"tf_crop_and_resize"
    ):
        raise InvalidModel(f"{layer.name} must give constant scales or sizes")
    is_scale = wanted.dtype.kind == "f"
    if not is_scale and len(wanted) == 4:
        wanted = np.array([1, 1, *wanted[2:]], np.int64)
    inputs = ["x", "", "wanted"] if is_scale else ["x", "", "", "wanted"]
    node = helper.make_node("Resize", inputs, ["y"])
    node.attribute.extend(
        helper.make_attribute(key, value) for key, value in layer.attributes.items()
    )
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, height, width])
    target = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [node], "places", [source], [target], [numpy_helper.from_array(wanted, "wanted")]
    )
    opsets = [helper.make_opsetid("", RESIZE_OPSET)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    image = np.arange(height * width, dtype=np.float32).reshape(1, 1, height, width)
    (found,) = session(proto.SerializeToString()).run(None, {"x": image})
    numbers = np.asarray(found, np.int64)[0, 0]
    return numbers[:, 0] // width, numbers[0] % width


def _picked(emission: Emission, value: int, axis: int, places: Places) -> int:
    """The given places of an axis, in that order."""
    shape = emission.builder.type_of(value).shape
    size, times = shape[axis], len(places) // shape[axis]
    if np.array_equal(places, np.arange(size)):
        return value
    if np.array_equal(places, np.repeat(np.arange(size), times)):
        lines, rest = math.prod(shape[: axis + 1]), math.prod(shape[axis + 1 :])
        value = emission.builder.reshaped(value, (lines, 1, rest))
        value = emission.builder.joined([value] * times, 1)
        whole = (*shape[:axis], len(places), *shape[axis + 1 :])
        return emission.builder.reshaped(value, whole)
    ends = [*np.flatnonzero(np.diff(places) != 1) + 1, len(places)]
    starts = [0, *ends[:-1]]
    parts = [
        _part(emission, value, axis, int(places[start]), int(places[end - 1]) + 1)
        for start, end in zip(starts, ends, strict=True)
    ]
    return emission.builder.joined(parts, axis)


def _part(emission: Emission, value: int, axis: int, start: int, stop: int) -> int:
    return emission.builder.add(Opcode.SLICE, [value], (axis, start, stop))
