"""Whether a table keeps the rules of `int-v1`."""

from __future__ import annotations

from nesa.models.graph import Table
from nesa.models.opcodes import operator
from nesa.protocol.errors import InvalidModel


def check_table(table: Table) -> None:
    """Works every row's output type out anew and compares it with the declared one.

    Raises:
        InvalidModel: a row breaks a rule of its operator; the message names the row.
    """
    for index, row in enumerate(table.rows):
        try:
            inferred = operator(row.opcode).infer(row, table.types_of(row.inputs))
        except InvalidModel as error:
            raise InvalidModel(f"row {index}: {error}") from error
        if inferred != row.output_type:
            raise InvalidModel(f"row {index}: declares {row.output_type} but gives {inferred}")
