"""What is known of a float graph while it is read, and what the rules of its operators share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeAlias

from onnx import NodeProto

from nesa.models.simplifying.network import Network, attribute
from nesa.privacy.equivariant.axes import Axes, Axis, AxisTies, size_of
from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.moves import Array
from nesa.protocol.errors import InvalidModel


@dataclass(slots=True)
class Reading:
    """What is known of a graph so far.

    `parameters` are the axes of constants that move. Whole numbers that come from one of the
    `roots` (an input, or a choice of places) and are looked up by are names; where they are
    reckoned with as well they are `numbers`, and constants that they are compared with are
    `renamed` along.
    """

    ties: AxisTies
    network: Network
    axes: dict[str, Axes] = field(default_factory=dict)
    parameters: dict[str, Axes] = field(default_factory=dict)
    names: dict[str, Axis] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)

    def operand(self, name: str) -> Axes:
        """The axes of a tensor; a constant gets new ones and moves along."""
        if name in self.axes:
            return self.axes[name]
        if name not in self.parameters:
            values = self.network.constants[name]
            # Whole numbers and truths may change places and nothing else.
            rules = Conditions.NONE if values.dtype.kind == "f" else PERMUTATION
            self.parameters[name] = tuple(self.ties.new(size, rules) for size in values.shape)
        return self.parameters[name]

    def constant(self, name: str) -> Array | None:
        """The values of a constant; None for what is computed."""
        return None if name in self.axes else self.network.constants.get(name)

    def named_by(self, node: NodeProto) -> Axis | None:
        """The axis whose places are the rows that a OneHot makes; None where it makes others."""
        depth = self.constant(node.input[1])
        names = self.names.get(self.roots.get(node.input[0], ""))
        if names is None or depth is None or self.constant(node.input[2]) is None:
            return None
        return names if int(depth.item()) == size_of(names) else None

    def narrow_to_planes(self, axis: Axis) -> None:
        """Leave an axis the rotations of a rotary embedding."""
        self.ties.narrow(axis, Conditions.PLANES)

    def use_as_number(self, name: str, node: NodeProto) -> None:
        """A name that is anything but looked up or compared with is a number."""
        if name in self.roots and not _keeps_names(self, node, name):
            self.numbers.add(self.roots[name])


Rule: TypeAlias = Callable[[Reading, NodeProto], Sequence[Axes]]
"""The axes of a node's outputs."""


def _keeps_names(reading: Reading, node: NodeProto, name: str) -> bool:
    if node.op_type == "Gather":
        return node.input[1] == name and reading.constant(node.input[0]) is not None
    if node.op_type == "OneHot":
        return node.input[0] == name and reading.named_by(node) is not None
    if node.op_type != "Equal":
        return False
    other = node.input[1] if node.input[0] == name else node.input[0]
    values = reading.constant(other)
    return values is not None and values.size == 1


def untouched(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Everything that it touches stays as it is."""
    for name in node.input:
        if name in reading.axes:
            reading.ties.freeze(*reading.axes[name])
    made = []
    for name in node.output:
        shape = reading.network.shape(name)
        if not shape or not all(shape):
            raise InvalidModel(
                f"no rule knows {node.op_type} {node.name}, and its shape is not known; give the "
                "graph's inputs fixed sizes"
            )
        made.append(tuple(map(reading.ties.fixed, shape)))
    return made


def aligned(tensors: Sequence[Axes]) -> list[tuple[Axis, ...]]:
    """The axes of several tensors next to each other, the last ones together, as they broadcast."""
    turned = [tuple(reversed(axes)) for axes in tensors]
    return list(zip_longest(*turned, fillvalue=()))[::-1]


def listed(reading: Reading, node: NodeProto, name: str, place: int) -> list[int]:
    """Whole numbers of an attribute, or of a constant input in newer opsets."""
    found = attribute(node, name, None)
    if isinstance(found, list):
        return [int(one) for one in found]
    if len(node.input) <= place or not node.input[place]:
        return []
    values = reading.constant(node.input[place])
    if values is None:
        raise InvalidModel(f"{node.op_type} {node.name} has {name} that are worked out as it runs")
    return [int(one) for one in values.reshape(-1)]


def elementwise(
    reading: Reading, names: Sequence[str], both: Conditions, one: Conditions
) -> Sequence[Axes]:
    """Tensors that meet place by place: `both` where several have an axis, `one` where an axis of
    one meets a single number of another."""
    made = []
    for axes in aligned([reading.operand(name) for name in names]):
        present = [axis for axis in axes if axis]
        for other in present[1:]:
            reading.ties.tie(present[0], other)
        axis = present[0] if present else ()
        reading.ties.narrow(axis, both if len(present) == len(axes) else one)
        if len(present) not in (1, len(axes)):
            reading.ties.narrow(axis, both)
        made.append(axis)
    return (tuple(made),)
