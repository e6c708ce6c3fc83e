"""The operators of everyday ONNX models as torch computes them, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

Attributes = Mapping[str, Any]

Operator = Callable[..., Tensor]
"""Attributes and operands, None for one that is left out, to the one output."""


def _conv(attributes: Attributes, x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = weights.ndim - 2
    convolve = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[rank]
    result: Tensor = convolve(
        _padded(x, attributes, rank, 0.0),
        weights,
        bias,
        attributes.get("strides", [1] * rank),
        0,
        attributes.get("dilations", [1] * rank),
        attributes.get("group", 1),
    )
    return result


def _padded(x: Tensor, attributes: Attributes, rank: int, value: float) -> Tensor:
    """ONNX lists all beginnings before all ends, torch pairs, from the last axis on."""
    pads = attributes.get("pads", [0] * 2 * rank)
    if not any(pads):
        return x
    pairs = [(pads[axis], pads[axis + rank]) for axis in reversed(range(rank))]
    return functional.pad(x, [side for pair in pairs for side in pair], value=value)


def _gemm(attributes: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    left = a.T if attributes.get("transA", 0) else a
    right = b.T if attributes.get("transB", 0) else b
    product: Tensor = left @ right * attributes.get("alpha", 1.0)
    return product if c is None else product + c * attributes.get("beta", 1.0)


def _max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    sizes = attributes["kernel_shape"]
    padded = _padded(x, attributes, len(sizes), -torch.inf)
    return functional.max_pool2d(padded, sizes, attributes.get("strides", [1] * len(sizes)))


def _average_pool(attributes: Attributes, x: Tensor) -> Tensor:
    sizes = attributes["kernel_shape"]
    strides = attributes.get("strides", [1] * len(sizes))
    sums = functional.avg_pool2d(_padded(x, attributes, len(sizes), 0.0), sizes, strides)
    if attributes.get("count_include_pad", 0) or not any(attributes.get("pads", [])):
        return sums
    filled = _padded(torch.ones_like(x), attributes, len(sizes), 0.0)
    return sums / functional.avg_pool2d(filled, sizes, strides)


def _batch_norm(
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    shape = [1, -1] + [1] * (x.ndim - 2)
    factor = scale / torch.sqrt(variance + attributes.get("epsilon", 1e-5))
    return (x - mean.reshape(shape)) * factor.reshape(shape) + bias.reshape(shape)


def _layer_norm(
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> Tensor:
    axis = attributes.get("axis", -1) % x.ndim
    return functional.layer_norm(x, x.shape[axis:], scale, bias, attributes.get("epsilon", 1e-5))


def _reshape(_: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    sizes = shape.tolist()
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)])


def _flatten(attributes: Attributes, x: Tensor) -> Tensor:
    axis = attributes.get("axis", 1)
    return x.reshape([int(torch.tensor(x.shape[:axis]).prod()), -1])


def _unsqueeze(_: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    rank = x.ndim + axes.numel()
    for axis in sorted(axis % rank for axis in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _squeeze(_: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(axes.tolist())


def _gather(attributes: Attributes, x: Tensor, places: Tensor) -> Tensor:
    axis = attributes.get("axis", 0) % x.ndim
    picked = x.index_select(axis, places.reshape(-1))
    return picked.reshape(x.shape[:axis] + places.shape + x.shape[axis + 1 :])


def _reduce(how: Callable[..., Tensor]) -> Operator:
    def reduce(attributes: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = attributes.get("axes") if axes is None else axes.tolist()
        over = list(range(x.ndim)) if chosen is None else chosen
        return how(x, dim=over, keepdim=bool(attributes.get("keepdims", 1)))

    return reduce


def _resize(
    attributes: Attributes,
    x: Tensor,
    _: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """Nearest by a whole factor, where every convention of rounding picks the same place."""
    given = sizes if scales is None or not scales.numel() else scales * torch.tensor(x.shape)
    if given is None or attributes.get("mode", b"nearest") != b"nearest":
        raise ValueError("only nearest resizing to given sizes is supported")
    for axis, size in enumerate(round(size) for size in given.tolist()):
        if size % x.shape[axis]:
            raise ValueError("only resizing by whole factors is supported")
        x = x.repeat_interleave(size // x.shape[axis], dim=axis)
    return x


def _clip(
    _: Attributes, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    return x if low is None and high is None else torch.clamp(x, low, high)


_CAST: Final = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
"""ONNX's numbers of element types."""

OPERATORS: Final[Mapping[str, Operator]] = {
    "Add": lambda _, a, b: a + b,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": lambda attributes, x: x.to(_CAST[attributes["to"]]),
    "Clip": _clip,
    "Concat": lambda attributes, *parts: torch.cat(parts, attributes["axis"]),
    "Conv": _conv,
    "Div": lambda _, a, b: a / b,
    "Equal": lambda _, a, b: a == b,
    "Erf": lambda _, x: torch.erf(x),
    "Exp": lambda _, x: torch.exp(x),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": lambda attributes, x: functional.gelu(
        x, approximate=attributes.get("approximate", b"none").decode()
    ),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _, x: x.mean(dim=list(range(2, x.ndim)), keepdim=True),
    "Identity": lambda _, x: x,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda attributes, x: functional.leaky_relu(x, attributes.get("alpha", 0.01)),
    "MatMul": lambda _, a, b: a @ b,
    "MaxPool": _max_pool,
    "Mul": lambda _, a, b: a * b,
    "Neg": lambda _, x: -x,
    "Not": lambda _, x: ~x,
    "Pow": lambda _, a, b: a**b,
    "Reciprocal": lambda _, x: 1 / x,
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": lambda _, x: torch.relu(x),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": lambda _, x: torch.sigmoid(x),
    "Softmax": lambda attributes, x: torch.softmax(x, attributes.get("axis", -1)),
    "Sqrt": lambda _, x: torch.sqrt(x),
    "Squeeze": _squeeze,
    "Sub": lambda _, a, b: a - b,
    "Tanh": lambda _, x: torch.tanh(x),
    "Transpose": lambda attributes, x: x.permute(attributes["perm"]),
    "Unsqueeze": _unsqueeze,
    "Where": lambda _, which, a, b: torch.where(which, a, b),
}


def apply(kind: str, attributes: Attributes, operands: Sequence[Tensor | None]) -> Tensor:
    """What one node gives.

    Raises:
        ValueError: the operator is not here, or has attributes that are not supported.
    """
    if kind not in OPERATORS:
        raise ValueError(f"the operator is not supported: {', '.join(sorted(OPERATORS))}")
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise ValueError("pads must be given as numbers")
    if attributes.get("ceil_mode", 0):
        raise ValueError("ceil_mode is not supported")
    return OPERATORS[kind](attributes, *operands)
