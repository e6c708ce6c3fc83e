"""Writes docs/operator-vectors.json: known answers of every operator, corners included.

`python -m scripts.export_operator_vectors` writes the file, `--check` fails when it is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from nesa.models.graph import FORMAT, Parameter, Row, Table
from nesa.models.reference import run
from nesa.protocol.digests import boundary_digest
from scripts.operator_cases import CASES, Case

PATH: Final = Path(__file__).parents[1] / "docs" / "operator-vectors.json"


def entry(name: str, case: Case) -> dict[str, Any]:
    """One vector: the table, and the bytes and digests that go in and must come out."""
    table = case.table
    return {
        "name": name,
        "inputs": [_hex(edge.pack()) for edge in table.inputs],
        "rows": [_row(row) for row in table.rows],
        "outputs": list(table.outputs),
        "operators_root": _hex(table.operators_root),
        "answers": [_answer(table, inputs) for inputs in case.runs],
    }


def document() -> str:
    """The whole file, one line for each vector."""
    lines = [json.dumps(entry(name, case)) for name, case in CASES.items()]
    body = ",\n  ".join(lines)
    return f'{{"format": "{FORMAT}", "vectors": [\n  {body}\n]}}\n'


def main(arguments: Sequence[str]) -> int:
    """Write the file, or with `--check` say whether it is fresh."""
    if "--check" not in arguments:
        PATH.write_text(document())
        return 0
    if PATH.exists() and PATH.read_text() == document():
        return 0
    print(f"docs/{PATH.name} is stale: run `python -m scripts.export_operator_vectors`")
    return 1


def _row(row: Row) -> dict[str, Any]:
    return {
        "opcode": row.opcode.name,
        "attributes": list(row.attributes),
        "inputs": list(row.inputs),
        "output_type": _hex(row.output_type.pack()),
        "parameters": [_parameter(parameter) for parameter in row.parameters],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    shape = [int(size) for size in parameter.values.shape]
    return {"kind": parameter.kind.name, "shape": shape, "data": _hex(parameter.data)}


def _answer(table: Table, inputs: tuple[bytes, ...]) -> dict[str, Any]:
    outputs = run(table, inputs)
    digest = boundary_digest(table.types_of(table.outputs), outputs)
    return {
        "inputs": [_hex(data) for data in inputs],
        "outputs": [_hex(data) for data in outputs],
        "output_digest": _hex(digest),
    }


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
