"""Writes a table row by row, each output type worked out by its operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nesa.models.graph import Opcode, Parameter, Row, Table
from nesa.models.opcodes import operator
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

    def table(self, outputs: Sequence[int]) -> Table:
        """The table, in one shard."""
        return Table(self._inputs, tuple(self._rows), tuple(outputs))
