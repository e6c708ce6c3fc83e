"""Splits a compiled model, and says where that is possible; what `nesa model split` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.table import Table as Lines

from nesa.models.folder import load
from nesa.models.graph import Table
from nesa.privacy.split.parts import Parts, joined, split
from nesa.privacy.split.places import Place, places
from nesa.privacy.split.publishing import write_middle
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidModel

NAMED: Final = 12
"""So many places at most are named in an error."""


def split_folder(folder: Path, ends: tuple[int, int], shards: int, output: Path) -> dict[str, Any]:
    """Write the middle of the model in `folder`, and say what was written.

    Raises:
        InvalidModel: it cannot be split there; the message names places where it can.
        InvalidInput: `output` holds a model already.
    """
    whole = load(folder)
    parts = _split(whole.table, *ends)
    note = write_middle(whole, parts, shards, output)
    return {"folder": output, "model": note.model, "middle": note.middle, **_rows(parts)}


def places_of(folder: Path, first: int | None) -> tuple[Table, tuple[Place, ...]]:
    """A model's table and where it can be split, with the network's part from row `first` on.

    Raises:
        InvalidModel: there is no such row, or nothing in front of it.
    """
    table = load(folder).table
    return table, places(table, first)


def place_facts(table: Table, place: Place) -> dict[str, Any]:
    """One place in plain values."""
    sent, returned = place.sent, place.returned
    return {
        "row": place.row,
        "behind": table.rows[place.row - 1].opcode.name,
        "sent": None if sent is None else [_tensor(edge) for edge in sent],
        "sent_bytes": None if sent is None else joined(sent).nbytes,
        "returned": None if returned is None else [_tensor(edge) for edge in returned],
        "returned_bytes": None if returned is None else joined(returned).nbytes,
    }


def place_lines(table: Table, found: Sequence[Place]) -> Lines:
    """A line for each place."""
    heads = ("row", "behind", "leaves you if it begins here", "bytes")
    lines = Lines(*heads, "comes back if it ends here", "bytes", box=None)
    for place in found:
        facts = place_facts(table, place)
        sent, returned = facts["sent"], facts["returned"]
        lines.add_row(
            str(place.row),
            facts["behind"].lower().replace("_", " "),
            "-" if sent is None else ", ".join(sent),
            "-" if sent is None else f"{facts['sent_bytes']:,}",
            "-" if returned is None else ", ".join(returned),
            "-" if returned is None else f"{facts['returned_bytes']:,}",
        )
    return lines


def _tensor(edge: EdgeType) -> str:
    return f"{edge.dtype.name.lower()} " + "x".join(map(str, edge.shape))


def _rows(parts: Parts) -> dict[str, Any]:
    return {
        "kept_first": parts.first,
        "given": len(parts.middle.rows),
        "kept_last": len(parts.whole.rows) - parts.end,
        "input_bytes": parts.middle.inputs[0].nbytes,
        "output_bytes": parts.middle.type_of(parts.middle.outputs[0]).nbytes,
    }


def _split(table: Table, first: int, end: int) -> Parts:
    try:
        return split(table, first, end)
    except InvalidModel as error:
        raise InvalidModel(f"{error}; {_advice(table, first, end)}") from error


def _advice(table: Table, first: int, end: int) -> str:
    """Where it would be possible, nearest to what was asked for."""
    begins = 0 < first < len(table.rows) - 1
    found = places(table, first if begins else None)
    ends = [place.row for place in found if place.returned is not None]
    if not ends:
        return "see where it is possible with `nesa model split` without --first and --end"
    near = sorted(sorted(ends, key=lambda row: abs(row - end))[:NAMED])
    more = " and others" if len(ends) > NAMED else ""
    return f"from --first {found[0].row} on --end may be {', '.join(map(str, near))}{more}"
