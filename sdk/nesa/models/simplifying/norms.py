"""LayerNorm, RMSNorm and normalised vectors that are written out become one node each.

Exporters write `(x - mean) / sqrt(mean((x - mean)**2) + epsilon)` in many ways: the square by Pow
or Mul, the quotient by Div, by Reciprocal or one over the root and Mul, or by a negative power.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from nesa.models.simplifying.network import Network, attribute, rewritten

ROOT_MEAN_SQUARE: Final = "SimplifiedLayerNormalization"
"""What ONNX Runtime calls RMSNorm in every opset."""

LEAST_LENGTH: Final = 1e-12


@dataclass(frozen=True, slots=True)
class WrittenNorm:
    """`source` divided along `axis` by the root of its mean square, or first centred."""

    kind: str
    source: str
    axis: int
    epsilon: float
    gain: float = 1.0


def with_norms(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with every norm that is written out as one node."""
    network = Network(proto)
    writer = _Writer(network)
    return rewritten(network, writer.replaced, writer.constants)


class _Writer:
    """Writes norms in the place of their last nodes."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._taken: set[str] = set()
        self.constants: dict[str, NDArray[np.generic]] = {}

    def replaced(self, node: NodeProto) -> Iterator[NodeProto]:
        """The node, or what stands for the norm that ends with it."""
        if node.output[0] in self._taken:
            return
        norm = written_out(self._network, node)
        if norm is None:
            yield node
            return
        yield from self._norm(norm, node)

    def _norm(self, norm: WrittenNorm, node: NodeProto) -> Iterator[NodeProto]:
        shape = self._network.shape(norm.source)
        ones = np.ones(shape[norm.axis])
        target, gains = self._followed(node.output[0], "Mul", norm, len(shape))
        values = [(ones if gains is None else gains) * norm.gain]
        if norm.kind == "LayerNormalization":
            target, offsets = self._followed(target, "Add", norm, len(shape))
            values.append(ones * 0 if offsets is None else offsets)
        names = [f"{target}_affine{place}" for place in range(len(values))]
        self.constants |= {
            name: item.astype(np.float32) for name, item in zip(names, values, strict=True)
        }
        settings: dict[str, Any] = {"axis": -1, "epsilon": norm.epsilon}
        label = node.name or node.output[0]
        if norm.axis == len(shape) - 1:
            yield helper.make_node(norm.kind, [norm.source, *names], [target], label, **settings)
            return
        order = [axis for axis in range(len(shape)) if axis != norm.axis] + [norm.axis]
        back = [order.index(axis) for axis in range(len(shape))]
        turned, normal = f"{target}_turned", f"{target}_normal"
        yield helper.make_node("Transpose", [norm.source], [turned], f"{label}_turn", perm=order)
        yield helper.make_node(norm.kind, [turned, *names], [normal], label, **settings)
        yield helper.make_node("Transpose", [normal], [target], f"{label}_back", perm=back)

    def _followed(
        self, target: str, kind: str, norm: WrittenNorm, rank: int
    ) -> tuple[str, NDArray[np.float64] | None]:
        """The result of a product or sum with a number for each place of the axis, and those."""
        reader = self._network.only_reader(target, kind)
        pair = self._network.pair(reader) if reader is not None else None
        if reader is None or pair is None or pair[1].ndim > rank:
            return target, None
        shape = (*[1] * (rank - pair[1].ndim), *pair[1].shape)
        if any(size != 1 for axis, size in enumerate(shape) if axis != norm.axis):
            return target, None
        self._taken.add(reader.output[0])
        return reader.output[0], pair[1].astype(np.float64).reshape(-1)


def written_out(network: Network, node: NodeProto) -> WrittenNorm | None:
    """The norm that ends in this quotient or product."""
    quotient = _quotient(network, node)
    if quotient is None:
        return None
    rows, bottom = quotient
    if node.op_type == "Div" and (length := _length(network, rows, bottom)) is not None:
        return length
    square = _square_rooted(network, bottom, is_divisor=node.op_type == "Div")
    added = network.made_by(square, "Add") if square is not None else None
    pair = network.pair(added) if added is not None else None
    if pair is None or pair[1].size != 1:
        return None
    mean = _mean(network, pair[0])
    if mean is None:
        return None
    squared, axis = mean
    base = _squared(network, squared)
    if base is None or not network.same(base, rows):
        return None
    epsilon = float(pair[1].reshape(-1)[0])
    centred = network.made_by(rows, "Sub")
    if centred is not None and _mean(network, centred.input[1]) == (centred.input[0], axis):
        return WrittenNorm("LayerNormalization", centred.input[0], axis, epsilon)
    return WrittenNorm(ROOT_MEAN_SQUARE, rows, axis, epsilon) if network.shape(rows)[axis] else None


def _quotient(network: Network, node: NodeProto) -> tuple[str, str] | None:
    """What is divided, and by what: for Mul, the inverse that it is multiplied by."""
    if node.op_type == "Div":
        return node.input[0], node.input[1]
    if node.op_type != "Mul":
        return None
    for rows, inverse in (tuple(node.input), tuple(reversed(node.input))):
        made = network.made_by(inverse, "Reciprocal", "Div", "Pow")
        if made is not None and made.op_type == "Reciprocal":
            return rows, made.input[0]
        if made is not None and made.op_type == "Div" and network.number(made.input[0]) == 1.0:
            return rows, made.input[1]
        if made is not None and made.op_type == "Pow" and network.number(made.input[1]) == -0.5:
            return rows, inverse
    return None


def _square_rooted(network: Network, name: str, *, is_divisor: bool) -> str | None:
    """What the tensor is the root of, or one over the root."""
    root = network.made_by(name, "Sqrt")
    if root is not None:
        return str(root.input[0])
    power = network.made_by(name, "Pow")
    if power is None or network.number(power.input[1]) not in (0.5, None if is_divisor else -0.5):
        return None
    return str(power.input[0])


def _mean(network: Network, name: str) -> tuple[str, int] | None:
    """What the tensor is the mean of along one axis that stays, and the axis."""
    node = network.made_by(name, "ReduceMean")
    return _reduced(network, node) if node is not None else None


def _reduced(network: Network, node: NodeProto) -> tuple[str, int] | None:
    """What is reduced along one axis that stays, and the axis."""
    axes = attribute(node, "axes", None)
    if len(node.input) > 1 and node.input[1] in network.constants:
        axes = network.constants[node.input[1]].tolist()
    rank = len(network.shape(node.input[0]))
    if (
        not isinstance(axes, list)
        or len(axes) != 1
        or not rank
        or not attribute(node, "keepdims", 1)
    ):
        return None
    return node.input[0], int(axes[0]) % rank


def _squared(network: Network, name: str) -> str | None:
    """What the tensor is the square of."""
    power = network.made_by(name, "Pow")
    if power is not None and network.number(power.input[1]) == 2.0:
        return str(power.input[0])
    product = network.made_by(name, "Mul")
    if product is not None and network.same(product.input[0], product.input[1]):
        return str(product.input[0])
    return None


def _length(network: Network, rows: str, bottom: str) -> WrittenNorm | None:
    """`rows` divided by their length, as `normalize` is written: an RMSNorm times 1/sqrt(n)."""
    made = network.made_by(bottom, "Expand", "Clip", "Max", "ReduceL2")
    while made is not None and made.op_type != "ReduceL2":
        made = network.made_by(made.input[0], "Expand", "Clip", "Max", "ReduceL2")
    reduced = _reduced(network, made) if made is not None else None
    if reduced is None or not network.same(reduced[0], rows):
        return None
    size = network.shape(rows)[reduced[1]]
    return (
        WrittenNorm(ROOT_MEAN_SQUARE, rows, reduced[1], LEAST_LENGTH, 1 / sqrt(size))
        if size
        else None
    )
