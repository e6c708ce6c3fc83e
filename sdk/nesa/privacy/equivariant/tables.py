"""Transforms of integer tables: permutations, under which every answer is the same to the bit.

A permutation moves integers without changing any; what an opcode computes of them is the same as
long as its constants move along, since every sum is exact in any order. Signs and rotations are not
offered: a Rescale rounds halves up, and what is mixed is no int8 any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from nesa.models.graph import Opcode, Parameter, ParameterKind, Row, Table
from nesa.models.opcodes.conv import ConvAttributes
from nesa.models.opcodes.rescale import WHOLE_TENSOR
from nesa.privacy.equivariant.axes import Axes, Axis, AxisTies, Layouts
from nesa.privacy.equivariant.conditions import PERMUTATION
from nesa.privacy.equivariant.frames import Frames, TensorFrame
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.layouts import Leaf
from nesa.privacy.equivariant.moves import Array, Mover
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidModel

Constants: TypeAlias = dict[ParameterKind, Axes]
"""The axes of a row's constants."""

_VIEWS = (Opcode.RESHAPE, Opcode.TRANSPOSE, Opcode.SLICE)
_READERS_OF_NAMES = (Opcode.EMBEDDING, Opcode.TABLE)


@dataclass(frozen=True, slots=True, eq=False)
class Transformed:
    """A table in a key's frame, of the same types as the plain one, and how to speak to it."""

    table: Table
    frames: Frames


@dataclass(frozen=True, slots=True, eq=False)
class TableFrame:
    """Which axes of a table may be permuted, whatever the key."""

    layouts: Layouts
    frames: Frames
    constants: tuple[Constants, ...]
    names: dict[int, Axis]


def transform(table: Table, key: EquivariantKey) -> Transformed:
    """The table under a key; its answers are those of `table` after decoding, to the bit."""
    found, mover = infer(table), Mover(key)
    rows = tuple(
        replace(row, parameters=_moved(index, table, found, mover))
        for index, row in enumerate(table.rows)
    )
    return Transformed(replace(table, rows=rows), found.frames)


def infer(table: Table) -> TableFrame:
    """Which axes of the table are one, and which may be permuted."""
    return _Inference(table).found()


class _Inference:
    """Reads a table row by row."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.ties = AxisTies(PERMUTATION)
        self.read = _read_values(table)
        self.axes: dict[int, Axes] = {}
        self.names: dict[int, Axis] = {}
        self.looked_up: set[int] = set()
        self.constants: list[Constants] = []

    def found(self) -> TableFrame:
        for value, edge in enumerate(self.table.inputs):
            self.axes[value] = tuple(map(self.ties.new, edge.shape))
            self.names[value] = self._new_names(edge)
        for index, row in enumerate(self.table.rows):
            self._read_row(index, row)
        self._freeze_numbers()
        for value, axes in self.axes.items():
            if value in self.read:
                self.ties.array(axes)
        for constants in self.constants:
            for axes in constants.values():
                self.ties.array(axes)
        layouts = self.ties.layouts()
        frames = Frames(
            inputs=tuple(self._frame(value, layouts) for value in range(len(self.table.inputs))),
            outputs=tuple(self._frame(value, layouts) for value in self.table.outputs),
        )
        return TableFrame(layouts, frames, tuple(self.constants), self.names)

    def _freeze_numbers(self) -> None:
        """What is never looked up by, or is an answer, is a number and no name."""
        held = [self.names.get(value) for value in self.looked_up]
        unused = [names for names in self.names.values() if names not in held]
        answers = [self.names.get(value, ()) for value in self.table.outputs]
        self.ties.freeze(*unused, *answers)

    def _read_row(self, index: int, row: Row) -> None:
        value = self.table.output_of(index)
        if value not in self.read:
            self.axes[value] = tuple(map(self.ties.new, row.output_type.shape))
            self.constants.append({})
            return
        if not _reads(row):
            fresh = tuple(map(self.ties.new, self.table.type_of(row.inputs[0]).shape))
            inputs: tuple[Axes, ...] = (fresh,) * len(row.inputs)
        else:
            inputs = tuple(self.axes[source] for source in row.inputs)
            self._pass_names(value, row)
        names = self.names.get(row.inputs[0], ()) if row.opcode in _READERS_OF_NAMES else ()
        made, constants = tied(row, inputs, names, self.ties)
        self.axes[value] = made
        self.constants.append(constants)

    def _pass_names(self, value: int, row: Row) -> None:
        """Views hand names on, lookups take them, and to everything else they are numbers."""
        held = [self.names.get(source, ()) for source in row.inputs]
        if row.opcode in _READERS_OF_NAMES:
            self.looked_up.add(row.inputs[0])
        if row.opcode in _VIEWS:
            self.names[value] = held[0]
        elif row.opcode not in _READERS_OF_NAMES:
            self.ties.freeze(*held)

    def _new_names(self, edge: EdgeType) -> Axis:
        names = self.ties.new(edge.high - edge.low + 1)
        # A name stands alone, at every place: its change depends on nothing.
        self.ties.array((names,))
        return names

    def _frame(self, value: int, layouts: Layouts) -> TensorFrame:
        (leaf,) = layouts.of((self.names.get(value, ()),)) or (None,)
        alphabet = leaf if isinstance(leaf, Leaf) else None
        low = self.table.type_of(value).low
        places = layouts.of(self.axes[value])
        return TensorFrame(places=places, alphabet=alphabet, low=low)


def tied(row: Row, inputs: tuple[Axes, ...], names: Axis, ties: AxisTies) -> tuple[Axes, Constants]:
    """The axes of a row's output and of its constants: the rule of every opcode.

    `names` is the alphabet of the first input, where the row looks things up by it.
    """
    source, shape = inputs[0], row.output_type.shape
    match row.opcode:
        case Opcode.LINEAR:
            channels = ties.new(shape[-1])
            ties.mixed(source[:-1], source[-1])
            ties.meet((source[-1],))
            weights = {ParameterKind.WEIGHTS: (channels, source[-1])}
            return (*source[:-1], channels), {**weights, ParameterKind.BIASES: (channels,)}
        case Opcode.CONV:
            return _conv(row, source, ties)
        case Opcode.MATMUL:
            other = inputs[1]
            _tie_all(ties, (*source[:-2], source[-1]), (*other[:-2], other[-2]))
            ties.meet((*source[:-2], source[-1]))
            ties.mixed(source[:-1], source[-1])
            ties.mixed((*source[:-2], other[-1]), source[-1])
            return (*source[:-1], other[-1]), {}
        case Opcode.RESCALE:
            axis = row.attributes[1]
            factors = () if axis == WHOLE_TENSOR else source[axis]
            return source, {} if axis == WHOLE_TENSOR else {ParameterKind.MULTIPLIERS: (factors,)}
        case Opcode.ADD_RESCALE:
            return tuple(_repeated(ties, *pair) for pair in zip(*inputs, strict=True)), {}
        case Opcode.TABLE:
            return source, {ParameterKind.ENTRIES: (names,)}
        case Opcode.EMBEDDING:
            width = ties.new(shape[-1])
            ties.meet((width,))
            return (*source, width), {ParameterKind.WEIGHTS: (names, width)}
        case Opcode.MAX_POOL | Opcode.SUM_POOL:
            ties.freeze(*source[2:])
            return (*source[:2], *map(ties.fixed, shape[2:])), {}
        case Opcode.ROW_SUM | Opcode.ROW_MAX:
            return (*source[:-1], ()), {}
        case Opcode.ARG_MAX:
            # Of equal values the first counts.
            ties.freeze(source[-1])
            return (*source[:-1], ()), {}
        case Opcode.DIVIDE_SEARCH | Opcode.ROOT_SEARCH:
            return source, {}
        case Opcode.RESHAPE:
            return ties.regrouped(source, shape), {}
        case Opcode.TRANSPOSE:
            return tuple(source[axis] for axis in row.attributes), {}
        case Opcode.CONCAT:
            return _concatenated(row, inputs, ties), {}
        case Opcode.SLICE:
            axis, start, stop = row.attributes
            part = ties.sliced(source[axis], start, stop)
            return (*source[:axis], part, *source[axis + 1 :]), {}
        case Opcode.SHARD:
            raise InvalidModel("SHARD is not an operator")
        case _:
            assert_never(row.opcode)


def _conv(row: Row, source: Axes, ties: AxisTies) -> tuple[Axes, Constants]:
    """Groups go with their channels in front and behind; rows and columns stay."""
    window, channels = ConvAttributes(*row.attributes), row.output_type.shape[1]
    groups = ties.new(window.groups)
    inner = ties.new(window.channels // window.groups)
    outer = ties.new(channels // window.groups)
    ties.tie(source[1], groups + inner)
    ties.mixed((groups,), inner)
    ties.freeze(*source[2:])
    kernel = ties.fixed(window.kernel_height) + ties.fixed(window.kernel_width)
    made = (source[0], groups + outer, *map(ties.fixed, row.output_type.shape[2:]))
    constants = {
        ParameterKind.WEIGHTS: (groups + outer, inner + kernel),
        ParameterKind.BIASES: (groups + outer,),
    }
    return made, constants


def _repeated(ties: AxisTies, one: Axis, other: Axis) -> Axis:
    """The axis of a sum; an input of size 1 along it says nothing."""
    if one and other:
        ties.tie(one, other)
    return one or other


def _concatenated(row: Row, inputs: tuple[Axes, ...], ties: AxisTies) -> Axes:
    axis, first = row.attributes[0], inputs[0]
    for other in inputs[1:]:
        for place, pair in enumerate(zip(first, other, strict=True)):
            if place != axis:
                ties.tie(*pair)
    joined = ties.joined([axes[axis] for axes in inputs])
    return (*first[:axis], joined, *first[axis + 1 :])


def _tie_all(ties: AxisTies, left: Axes, right: Axes) -> None:
    for one, other in zip(left, right, strict=True):
        ties.tie(one, other)


def _reads(row: Row) -> bool:
    """Whether the row's output depends on its inputs: dense rows without weights hold constants."""
    if row.opcode not in (Opcode.LINEAR, Opcode.CONV):
        return True
    return bool(row.held(ParameterKind.WEIGHTS).any())


def _read_values(table: Table) -> frozenset[int]:
    """Values that the outputs depend on, and inputs."""
    needed = {*table.outputs, *range(len(table.inputs))}
    for index in reversed(range(len(table.rows))):
        row = table.rows[index]
        if table.output_of(index) in needed and _reads(row):
            needed.update(row.inputs)
    return frozenset(needed)


def _moved(index: int, table: Table, found: TableFrame, mover: Mover) -> tuple[Parameter, ...]:
    row, constants = table.rows[index], found.constants[index]
    return tuple(
        _moved_parameter(row, parameter, constants[parameter.kind], table, found.layouts, mover)
        if parameter.kind in constants
        else parameter
        for parameter in row.parameters
    )


def _moved_parameter(
    row: Row, parameter: Parameter, axes: Axes, table: Table, layouts: Layouts, mover: Mover
) -> Parameter:
    layout = layouts.of(axes)
    if not layout:
        return parameter
    if parameter.kind is not ParameterKind.ENTRIES:
        return Parameter(parameter.kind, mover.move(parameter.values, layout))
    edge, offset = table.type_of(row.inputs[0]), row.attributes[0]
    values: Array = parameter.values.copy()
    reached = slice(edge.low + offset, edge.high + offset + 1)
    values[reached] = mover.move(values[reached], layout)
    return Parameter(parameter.kind, values)
