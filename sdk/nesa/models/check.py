"""Whether a table keeps the rules of `int-v1`."""

from __future__ import annotations

from collections.abc import Iterable

from nesa.models.graph import Table
from nesa.models.opcodes import operator
from nesa.protocol.errors import InvalidModel


def check_table(table: Table) -> None:
    """Works every row's output type out anew and compares it with the declared one.

    Raises:
        InvalidModel: a row breaks a rule of its operator; the message names the row.
    """
    check_rows(table, range(len(table.rows)))


def check_rows(table: Table, rows: Iterable[int]) -> None:
    """As `check_table`, of some rows; no others need their constants."""
    for index in rows:
        row = table.rows[index]
        try:
            inferred = operator(row.opcode).infer(row, table.types_of(row.inputs))
        except InvalidModel as error:
            raise InvalidModel(f"row {index}: {error}") from error
        if inferred != row.output_type:
            raise InvalidModel(f"row {index}: declares {row.output_type} but gives {inferred}")
