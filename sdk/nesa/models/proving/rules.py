"""The rules that make a compiled circuit a proof of the integer model, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from nesa.models.proving.bounds import DIGIT_BASE, Bounds, Interval, propagate
from nesa.models.proving.compiled import CompiledGraph, Node
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidModel

MAX_INSTANCES: Final = 128
"""Elements of input and output together that a verifier on chain is called with."""

MAX_DIGITS: Final = 6
MAX_COLUMNS: Final = 2
"""More columns than these make larger proofs and slower proving, however few rows are left."""

RUN_ARGS: Final[Mapping[str, Any]] = {
    "input_scale": 0,
    "param_scale": 0,
    "scale_rebase_multiplier": 1,
    "lookup_range": [-DIGIT_BASE, DIGIT_BASE],
    "input_visibility": "public",
    "output_visibility": "public",
    "param_visibility": "fixed",
    "rebase_frac_zero_constants": False,
    "check_mode": "safe",
    "decomp_base": DIGIT_BASE,
    "bounded_log_lookup": False,
    "ignore_range_check_inputs_outputs": False,
    "disable_freivalds": True,
}
"""What every circuit is compiled with: integers, everything constrained, no random checks."""

_FLOOR: Final = {
    "inner": "floor",
    "inner_scale": float(DIGIT_BASE),
    "outer": "divide",
    "denominator": float(DIGIT_BASE),
    "target": 0,
    "original": 7,
    "multiplier": float(DIGIT_BASE),
}
_BEFORE_FLOOR: Final = 7


def run_args(k: int, digits: int, columns: int) -> dict[str, Any]:
    """ezkl's arguments for `2**k` rows, numbers of `digits` digits, and `columns` a block."""
    return {**RUN_ARGS, "logrows": k, "decomp_legs": digits, "num_inner_cols": columns}


def worst_case(graph: CompiledGraph, edge: EdgeType) -> Bounds:
    """Bounds of the circuit over every input of type `edge`.

    Raises:
        InvalidModel: see `propagate`.
    """
    low, high = (np.full(edge.shape, bound, np.int64) for bound in (edge.low, edge.high))
    return propagate(graph, [Interval(low, high)])


def check_circuit(graph: CompiledGraph, source: EdgeType, result: EdgeType, k: int) -> None:
    """Returns when `graph` proves a shard from `source` to `result` in `2**k` rows.

    Raises:
        InvalidModel: a rule is broken; the message says which.
    """
    _check_ends(graph, source, result)
    for number, node in graph.nodes.items():
        _check_scale(graph, number, node)
        _check_fields(node, graph.run_args["decomp_legs"])
    bounds = worst_case(graph, source)
    _check_run_args(graph.run_args, k, bounds)
    _check_output(bounds.values[graph.outputs[0][0]], result)


def _check_ends(graph: CompiledGraph, source: EdgeType, result: EdgeType) -> None:
    _expect(len(graph.inputs) == 1, f"{len(graph.inputs)} inputs where a proof has one")
    _expect(len(graph.outputs) == 1, f"{len(graph.outputs)} outputs where a proof has one")
    ends = (graph.nodes[graph.inputs[0]], graph.nodes[graph.outputs[0][0]])
    for node, edge in zip(ends, (source, result), strict=True):
        _expect(node.shape == edge.shape, f"shape {node.shape} where {edge.shape} was declared")
        _expect(node.scale == 0, f"a boundary has scale {node.scale}, not 0")
    instances = source.elements + result.elements
    _expect(instances <= MAX_INSTANCES, f"{instances} inputs and outputs exceed {MAX_INSTANCES}")


def _check_scale(graph: CompiledGraph, number: int, node: Node) -> None:
    """Scale 0 everywhere, except between a division by 128 and the floor right behind it."""
    readers = [other for other in graph.nodes.values() if (number, 0) in other.inputs]
    operation = node.operation
    divides = operation.name == "identity" and operation.fields["scale"] is not None
    if divides:
        followed = [reader.operation.name for reader in readers] == ["rebase"]
        _expect(followed, "a division by 128 is not directly followed by its floor")
        _expect(operation.fields["scale"] == _BEFORE_FLOOR, "a division is not by 128")
    _expect(node.scale == (_BEFORE_FLOOR if divides else 0), f"{operation.name} leaves scale 0")
    if operation.name == "rebase":
        before = [graph.nodes[source].scale for source, _ in node.inputs]
        _expect(before == [_BEFORE_FLOOR], "a floor does not follow a division by 128")


def _check_fields(node: Node, digits: int) -> None:
    operation, fields = node.operation, node.operation.fields
    if operation.name == "rebase":
        expected = {**_FLOOR, "inner_legs": digits}
        _expect(dict(fields) == expected, f"a floor has the fields {dict(fields)}")
    if operation.name == "rectifier":
        _expect(fields["slope"] == 0, f"a rectifier has slope {fields['slope']}")
    if operation.name == "input":
        _expect(fields["scale"] == 0 and fields["checked"], "an input is not range-checked")
    if operation.name == "constant":
        _expect(fields["scale"] == 0, f"a constant has scale {fields['scale']}")


def _check_run_args(found: Mapping[str, Any], k: int, bounds: Bounds) -> None:
    digits, columns = found["decomp_legs"], found["num_inner_cols"]
    _expect(1 <= columns <= MAX_COLUMNS, f"num_inner_cols is {columns}")
    for name, value in run_args(k, digits, columns).items():
        _expect(found[name] == value, f"{name} is {found[name]}, not {value}")
    _expect(found["rebase_scale"] is None, "rebase_scale is set")
    _expect(
        bounds.digits <= digits <= MAX_DIGITS,
        f"values up to {bounds.decomposed} do not fit {digits} digits of at most {MAX_DIGITS}",
    )


def _check_output(found: Interval, declared: EdgeType) -> None:
    low, high = int(found.low.min()), int(found.high.max())
    _expect(
        declared.low <= low and high <= declared.high,
        f"outputs reach [{low}, {high}], [{declared.low}, {declared.high}] was declared",
    )


def _expect(condition: bool, rule: str) -> None:
    if not condition:
        raise InvalidModel(f"not provable: {rule}")
