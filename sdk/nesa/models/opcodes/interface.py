"""What every operator of `int-v1` must offer, and the small writer its ONNX form is made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nesa.models.graph import Integers, Opcode, Row, is_narrow
from nesa.models.opcodes.operands import Column, Fold
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidModel

EXACT_FLOAT64: Final = 2**53


@dataclass(frozen=True, slots=True)
class Floored:
    """How a float32 tensor came about: `clip(floor(unrounded + lift), low, high)`."""

    unrounded: str
    lift: float
    low: int
    high: int


@dataclass(slots=True)
class NodeWriter:
    """Collects the nodes and constants of one ONNX graph; equal calls give equal names.

    A tensor may be needed in several element types. The writer remembers how some came about, so
    that another form skips steps: `views` names what a Reshape reads, `floored` what was rounded,
    `looked_up` the table and index of a lookup, and `products` both factors of a product of
    tensors, the smaller one last.
    """

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    views: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    floored: dict[str, Floored] = field(default_factory=dict)
    looked_up: dict[str, tuple[Integers, str]] = field(default_factory=dict)
    products: dict[str, tuple[str, str]] = field(default_factory=dict)
    _forms: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def constant(self, values: NDArray[np.generic]) -> str:
        """Name of a new constant that holds `values`."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        domain: str = "",
        **attributes: int | Sequence[int],
    ) -> str:
        """Name of the output of a new node."""
        name = f"n{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [name], name, domain=domain or None)
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in sorted(attributes.items())
        )
        self.nodes.append(node)
        return name

    def reshape(self, name: str, shape: tuple[int, ...]) -> str:
        """The tensor under another shape."""
        view = self.node("Reshape", [name, self.constant(np.array(shape, np.int64))])
        self.views[view] = name, shape
        return view

    def cast(self, name: str, held: int, wanted: int) -> str:
        """A tensor of element type `held` as one of type `wanted`, which may be the same."""
        return name if held == wanted else self._form(name, wanted, 0)

    def integers(self, name: str, offset: int, kind: int) -> str:
        """A float32 tensor plus `offset`, nowhere negative, in the integer type `kind`."""
        return self._form(name, kind, offset)

    def _form(self, name: str, kind: int, offset: int) -> str:
        key = name, kind, offset
        if key not in self._forms:
            self._forms[key] = self._new_form(name, kind, offset)
        return self._forms[key]

    def _new_form(self, name: str, kind: int, offset: int) -> str:
        if name in self.views:
            source, shape = self.views[name]
            return self.reshape(self._form(source, kind, offset), shape)
        if name in self.looked_up:
            entries, index = self.looked_up[name]
            held = (entries + offset).astype(helper.tensor_dtype_to_np_dtype(kind))
            return self.node("GatherElements", [self.constant(held), index], axis=0)
        if name in self.floored and kind in (TensorProto.UINT8, TensorProto.INT32):
            return self._cut_off(self.floored[name], kind, offset)
        return self.node("Cast", [self.lifted(name, offset)], to=kind)

    def _cut_off(self, floored: Floored, kind: int, offset: int) -> str:
        """Lifted, clipped and cut off, which for numbers that are not negative is the floor."""
        lifted = self.lifted(floored.unrounded, floored.lift + offset)
        ends = (floored.low + offset, floored.high + offset)
        bounds = [self.constant(np.array(end, np.float32)) for end in ends]
        return self.node("Cast", [self.node("Clip", [lifted, *bounds])], to=kind)

    def source(self, name: str) -> str:
        """What `name` is a view of; `name` itself where it is none."""
        while name in self.views:
            name, _ = self.views[name]
        return name

    def lifted(self, name: str, offset: float) -> str:
        """A float32 tensor plus a number; the tensor itself where that is 0."""
        if offset == 0:
            return name
        return self.node("Add", [name, self.constant(np.array(offset, np.float32))])


class Operator(Protocol):
    """One opcode: its rules, its reference, its lowerings and what a circuit needs for it.

    `inputs` are always the types of the values that the row reads, in order.
    """

    @property
    def code(self) -> Opcode:
        """Number of the operator."""

    @property
    def unprovable(self) -> str:
        """Why no ezkl circuit can hold it; empty when one can."""

    @property
    def fold(self) -> Fold:
        """How an element is put together again from judged leaves of its operands."""

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """Type of the output, its range being the worst case over the ranges of the inputs.

        Where the operator clips, the range is the one that the row declares.

        Raises:
            InvalidModel: the row breaks a rule of the operator.
        """

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """The definition in numpy: int64 in, int64 out."""

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Writes nodes for ONNX Runtime and returns the name of their output.

        Every tensor, in and out, has the element type that `carrier` gives for its edge.
        """

    def lower_ezkl(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Writes nodes that ezkl turns into the same integers at scale 0."""

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Largest magnitude that the circuit splits into digits; 0 when it splits nothing."""

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """About how many rows of a circuit the operator takes; the measure for cutting."""

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """What the output's element with flat index `element` is made of, nothing else is read.

        Column by column, in the order in which `judge` takes their values.
        """

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The element from the opened values of its columns; the definition, once more.

        Where `fold` is not WHOLE the columns may be those of one leaf, and the result is that
        leaf's share of the element.
        """


def expect(condition: bool, row: Row, rule: str) -> None:
    """Raises InvalidModel with `rule` in the name of the row's opcode unless `condition`."""
    if not condition:
        raise InvalidModel(f"{row.opcode.name}: {rule}")


def expect_shape(
    row: Row, inputs: tuple[EdgeType, ...], *, arity: int, attributes: int, parameters: int
) -> None:
    """Checks how many inputs, attributes and parameters the row has."""
    expect(len(inputs) == arity, row, f"{len(inputs)} inputs where {arity} are needed")
    expect(
        len(row.attributes) == attributes,
        row,
        f"{len(row.attributes)} attributes where {attributes} are needed",
    )
    expect(
        len(row.parameters) == parameters,
        row,
        f"{len(row.parameters)} parameters where {parameters} are needed",
    )
    # A judge finds the roots of constants by their order.
    kinds = [parameter.kind for parameter in row.parameters]
    expect(kinds == sorted(set(kinds)), row, "constants must be in the order of their kinds")


def carrier(edge: EdgeType) -> int:
    """ONNX element type of a value inside a shard: float32, or float64 from 2**24 on."""
    return int(TensorProto.FLOAT if is_narrow(edge) else TensorProto.DOUBLE)


def largest_magnitude(edge: EdgeType) -> int:
    """Largest absolute value that a tensor of type `edge` may hold."""
    return max(abs(edge.low), abs(edge.high))
