"""Writes a table row by row, each output type worked out by its operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nesa.models.graph import Integers, Opcode, Parameter, ParameterKind, Row, Table
from nesa.models.opcodes import operator
from nesa.models.opcodes.concat import MAX_INPUTS
from nesa.models.opcodes.rescale import WHOLE_TENSOR
from nesa.protocol.edges import EdgeType


class TableBuilder:
    """Collects the rows of a table; `add` returns the number of the value that a row writes."""

    def __init__(self, inputs: Sequence[EdgeType]) -> None:
        self._types = list(inputs)
        self._inputs = tuple(inputs)
        self._rows: list[Row] = []

    @property
    def length(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def type_of(self, value: int) -> EdgeType:
        """Type of the value with number `value`."""
        return self._types[value]

    def add(
        self,
        opcode: Opcode,
        inputs: Sequence[int],
        attributes: Sequence[int] = (),
        parameters: Sequence[Parameter] = (),
        declared: EdgeType | None = None,
    ) -> int:
        """Number of the new row's output.

        `declared` gives dtype and range where the operator clips (Rescale) or may choose (Table);
        its shape must be right.

        Raises:
            InvalidModel: the row breaks a rule of its operator.
        """
        types = tuple(self._types[value] for value in inputs)
        draft = Row(
            opcode, tuple(attributes), tuple(inputs), declared or types[0], tuple(parameters)
        )
        row = replace(draft, output_type=operator(opcode).infer(draft, types))
        self._rows.append(row)
        self._types.append(row.output_type)
        return len(self._types) - 1

    def reshaped(self, value: int, shape: tuple[int, ...]) -> int:
        """Number of the value in another shape, its own where it has that shape already."""
        if self._types[value].shape == shape:
            return value
        return self.add(Opcode.RESHAPE, [value], shape)

    def joined(self, values: Sequence[int], axis: int) -> int:
        """Number of the values behind each other, in as many rows as a Concat's bound asks for."""
        level = list(values)
        while len(level) > 1:
            starts = range(0, len(level), MAX_INPUTS)
            groups = [level[start : start + MAX_INPUTS] for start in starts]
            level = [
                self.add(Opcode.CONCAT, group, (axis,)) if len(group) > 1 else group[0]
                for group in groups
            ]
        return level[0]

    def rescale(
        self,
        value: int,
        multipliers: Integers | Sequence[int],
        halves: int,
        declared: EdgeType,
        axis: int = WHOLE_TENSOR,
    ) -> int:
        """Number of `value` times `multipliers / 128**halves`, one or one a place of `axis`.

        Raises:
            InvalidModel: as `add`.
        """
        factors = Parameter(ParameterKind.MULTIPLIERS, np.asarray(multipliers))
        return self.add(Opcode.RESCALE, [value], (halves, axis), [factors], declared)

    def add_rescaled(
        self,
        values: tuple[int, int],
        multipliers: Integers | Sequence[int],
        halves: int,
        declared: EdgeType,
    ) -> int:
        """Number of the sum of two values, each times its multiplier over `128**halves`.

        Raises:
            InvalidModel: as `add`.
        """
        factors = Parameter(ParameterKind.MULTIPLIERS, np.asarray(multipliers))
        return self.add(Opcode.ADD_RESCALE, values, (halves,), [factors], declared)

    def table(self, outputs: Sequence[int]) -> Table:
        """The table, in one shard."""
        return Table(self._inputs, tuple(self._rows), tuple(outputs))
