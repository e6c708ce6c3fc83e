"""Transforms of float graphs (ONNX): permutations, rotations and scales, exact up to rounding.

Any graph is taken whose shapes are known; a node that no rule knows leaves the axes that it touches
as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, TensorProto

from nesa.models.simplifying.network import Network
from nesa.privacy.equivariant.axes import Axes, Axis, AxisTies, Layouts, size_of
from nesa.privacy.equivariant.conditions import PERMUTATION
from nesa.privacy.equivariant.frames import Frames, TensorFrame
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.layouts import Leaf, stays
from nesa.privacy.equivariant.moves import Mover
from nesa.privacy.equivariant.operators import VIEWS, Reading, read_node
from nesa.privacy.equivariant.patterns import Norm, Pattern, Rotary, pattern_of
from nesa.privacy.equivariant.preparing import constant_tensors, prepared, replace_constants
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import InvalidModel
from nesa.protocol.ids import Digest

_WHOLE = (TensorProto.INT64, TensorProto.INT32)


@dataclass(frozen=True, slots=True, eq=False)
class TransformedGraph:
    """A graph in a key's frame, and how to speak to it."""

    proto: onnx.ModelProto
    frames: Frames


@dataclass(frozen=True, slots=True, eq=False)
class GraphFrame:
    """Which transforms the axes of a graph allow, whatever the key; `proto` is what it is of."""

    proto: onnx.ModelProto
    layouts: Layouts
    frames: Frames
    parameters: dict[str, Axes]
    renamed: dict[str, Axis]


def transform_graph(proto: onnx.ModelProto, key: EquivariantKey) -> TransformedGraph:
    """The graph under a key; its answers are those of `proto` after decoding, up to rounding.

    Constants are worked out in float64 and stored in the types that they had.

    Raises:
        InvalidModel: shapes of its inputs are open, or it is none that ONNX Runtime loads.
    """
    found, mover = infer_graph(proto), Mover(key)
    made = onnx.ModelProto()
    made.CopyFrom(found.proto)
    arrays = constant_tensors(made)
    layouts = {name: found.layouts.of(axes) for name, axes in found.parameters.items()}
    moved = {
        name: mover.move(arrays[name].astype(np.float64), layout)
        for name, layout in layouts.items()
        if not stays(layout)
    }
    for name, names in found.renamed.items():
        frame = TensorFrame(places=(), alphabet=_leaf(found.layouts, names))
        moved[name] = frame.encode(arrays[name].reshape(()), mover).reshape(arrays[name].shape)
    replace_constants(made, moved)
    return TransformedGraph(made, found.frames)


def graph_root(proto: onnx.ModelProto) -> Digest:
    """32 bytes that name a graph with its weights: the root over its file's bytes."""
    return bytes_root(proto.SerializeToString(deterministic=True))


def infer_graph(proto: onnx.ModelProto) -> GraphFrame:
    """Which axes of a graph are one, and which transforms they allow.

    Raises:
        InvalidModel: see `transform_graph`.
    """
    return _Inference(prepared(proto)).found()


class _Inference:
    """Reads a graph node by node."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self.network = Network(proto)
        self.patterns = {
            node.output[0]: found
            for node in self.network.nodes
            if (found := pattern_of(self.network, node)) is not None
        }
        self.reading = Reading(AxisTies(), self.network)
        self.inputs = [info.name for info in proto.graph.input]

    def found(self) -> GraphFrame:
        reading, ties = self.reading, self.reading.ties
        inputs = list(self.proto.graph.input)
        for info in inputs:
            self._input(info)
        needed = self._needed()
        for node in self.network.nodes:
            if needed.intersection(node.output):
                self._node(node)
        outputs = [info.name for info in self.proto.graph.output]
        for name in outputs:
            self._output(name)
        ties.freeze(*(names for root, names in reading.names.items() if self._stay(root, names)))
        for axes in (*reading.axes.values(), *reading.parameters.values()):
            ties.array(axes)
        for names in reading.names.values():
            ties.array((names,))
        layouts = ties.layouts()
        frames = Frames(
            inputs=tuple(self._frame(info.name, layouts) for info in inputs),
            outputs=tuple(self._frame(name, layouts) for name in outputs),
        )
        renamed = {
            name: reading.names[root]
            for name, root in reading.renamed.items()
            if root in reading.names
        }
        return GraphFrame(self.proto, layouts, frames, reading.parameters, renamed)

    def _input(self, info: onnx.ValueInfoProto) -> None:
        kind = info.type.tensor_type
        shape = [size.dim_value for size in kind.shape.dim]
        if not all(shape):
            raise InvalidModel(
                f"the input {info.name} has an open size; give every size of it a number"
            )
        axes = tuple(map(self.reading.ties.new, shape))
        self.reading.axes[info.name] = axes
        if kind.elem_type in _WHOLE:
            self.reading.roots[info.name] = info.name
        if kind.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16):
            self._narrow(axes)

    def _stay(self, root: str, names: Axis) -> bool:
        """Names that are reckoned with, or compared with what is none of them, and those of places
        that move in parts."""
        flat = self.reading.ties.flat(names)
        compared = (
            int(self.network.constants[name].item())
            for name, other in self.reading.renamed.items()
            if other == root
        )
        return (
            root in self.reading.numbers
            or any(not 0 <= number < size_of(names) for number in compared)
            or len(flat) > 1
            or any(atom.segments for atom, _ in flat)
        )

    def _needed(self) -> frozenset[str]:
        """Tensors that the outputs depend on; what is inside of a pattern is not."""
        needed = {info.name for info in self.proto.graph.output}
        for node in reversed(self.network.nodes):
            if needed.intersection(node.output):
                needed.update(self._sources(node))
        return frozenset(needed)

    def _sources(self, node: NodeProto) -> Sequence[str]:
        match self.patterns.get(node.output[0]):
            case Norm(source=source) | Rotary(source=source):
                return (source,)
            case None:
                return tuple(name for name in node.input if name)

    def _node(self, node: NodeProto) -> None:
        found = self.patterns.get(node.output[0])
        if found is not None:
            self.reading.axes[node.output[0]] = self._pattern(found)
            return
        if all(not name or name in self.network.constants for name in node.input):
            raise InvalidModel(f"{node.op_type} {node.name} works on constants alone")
        if node.op_type not in VIEWS:
            for name in node.input:
                self.reading.use_as_number(name, node)
        read_node(self.reading, node)

    def _pattern(self, found: Pattern) -> Axes:
        reading, axes = self.reading, self.reading.axes[found.source]
        reading.ties.mixed(axes[:-1], axes[-1])
        match found:
            case Norm(conditions=conditions):
                reading.ties.narrow(axes[-1], conditions)
            case Rotary(cosines=cosines, sines=sines):
                self._turn(axes, (cosines, sines))
        self._narrow(axes[:-1])
        return axes

    def _turn(self, axes: Axes, constants: Sequence[str]) -> None:
        """The angles go with the positions; that of a plane stays with it."""
        reading = self.reading
        reading.narrow_to_planes(axes[-1])
        for name in constants:
            held = reading.operand(name)
            reading.ties.freeze(held[-1])
            for one, other in zip(reversed(axes[:-1]), reversed(held[:-1]), strict=False):
                if other:
                    reading.ties.tie(one, other)

    def _output(self, name: str) -> None:
        """Answers are read by place; where places are the words of the input, they are the same."""
        reading, axes = self.reading, self.reading.axes.get(name)
        if axes is None:
            raise InvalidModel(f"the output {name} is a constant")
        self._narrow(axes)
        for names in (reading.names[root] for root in self.inputs if root in reading.names):
            for axis in axes:
                if axis and size_of(axis) == size_of(names) and len(reading.ties.flat(axis)) == 1:
                    reading.ties.tie(axis, names)

    def _narrow(self, axes: Axes) -> None:
        for axis in axes:
            self.reading.ties.narrow(axis, PERMUTATION)

    def _frame(self, name: str, layouts: Layouts) -> TensorFrame:
        names = self.reading.names.get(self.reading.roots.get(name, ""), ())
        places = layouts.of(self.reading.axes[name])
        return TensorFrame(places=places, alphabet=_leaf(layouts, names))


def _leaf(layouts: Layouts, names: Axis) -> Leaf | None:
    places = layouts.of((names,))
    return places[0] if places and isinstance(places[0], Leaf) else None
