"""How far each layer of a compiled model is from the float model, and what holds it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesa.models.emitting.held import Held
from nesa.models.floats import Layer
from nesa.models.graph import Integers, Shard, Table, is_narrow
from nesa.models.lowering import runtime_model
from nesa.models.opcodes import operator
from nesa.models.quantise import Floats
from nesa.models.runtime import session
from nesa.protocol.edges import EdgeType

ROWS: Final = 8
"""Calibration rows that the errors are measured on."""


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer of the float model as it stands in the table.

    `step` is what one step is worth, the coarsest channel's where they differ. `error` is the
    root of the mean square of the difference to the float model, as a part of that of the tensor.
    `worst_sum` is the largest magnitude that any value of the layer can reach, in the worst case
    over all inputs. `obstacle` says why no circuit can hold the layer; empty when one can.
    """

    name: str
    kind: str
    target: str
    edge: EdgeType
    step: float
    error: float
    worst_sum: int
    obstacle: str


@dataclass(frozen=True, slots=True, eq=False)
class Emitted:
    """A layer, the rows [first, end) that it became, and how its result is held."""

    layer: Layer
    target: str
    held: Held
    first: int
    end: int


def report(
    table: Table,
    emitted: Sequence[Emitted],
    samples: Mapping[str, Floats],
    inputs: Sequence[Integers],
) -> tuple[LayerReport, ...]:
    """One report for each layer but an ArgMax; `inputs` are the first samples, quantised."""
    found = _values(table, [item.held.value for item in emitted], inputs[:ROWS])
    return tuple(
        _layer(table, item, samples[item.target], found)
        for item in emitted
        if item.target in samples
    )


def _layer(table: Table, item: Emitted, wanted: Floats, found: Mapping[int, Floats]) -> LayerReport:
    held = item.held
    rows = table.rows[item.first : item.end]
    worst = [max(abs(row.output_type.low), abs(row.output_type.high)) for row in rows]
    obstacles = [operator(row.opcode).unprovable for row in rows]
    integers = found.get(held.value)
    error = _error(held.reals(integers), wanted) if integers is not None else float("nan")
    return LayerReport(
        item.layer.name,
        item.layer.kind,
        item.target,
        table.type_of(held.value),
        float(np.max(held.scale)),
        error,
        max(worst, default=0),
        next(filter(None, obstacles), ""),
    )


def _error(found: Floats, wanted: Floats) -> float:
    reference = wanted[: len(found)].reshape(found.shape)
    counted = np.isfinite(reference)
    if not counted.any():
        return float("nan")
    size = float(np.sqrt((reference[counted] ** 2).mean()))
    return float(np.sqrt(((found - reference)[counted] ** 2).mean())) / (size or 1.0)


def _values(table: Table, values: Sequence[int], inputs: Sequence[Integers]) -> dict[int, Floats]:
    """The integers [n, ..] of values on every input, by ONNX Runtime; wide ones left out."""
    narrow = tuple(sorted({v for v in values if v > 0 and is_narrow(table.type_of(v))}))
    if not narrow:
        return {}
    runner = session(runtime_model(table, Shard(0, len(table.rows), (0,), narrow)))
    feeds = [{runner.get_inputs()[0].name: row.astype(np.float32)} for row in inputs]
    results = [runner.run(None, feed) for feed in feeds]
    return {
        value: np.stack([np.asarray(row[place], np.float64) for row in results])
        for place, value in enumerate(narrow)
    }
