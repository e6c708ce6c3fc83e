"""The rules that make a compiled circuit a proof of the integer model, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from nesa.models.proving.bounds import DIGIT_BASE, Bounds, Interval, propagate
from nesa.models.proving.compiled import CompiledGraph, Node
from nesa.protocol.circuits import BLIND_HIGH, PUBLIC_ENDS, Ends, ShownEdge
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

_BEFORE_CLIP: Final = frozenset(
    {"identity", "input", "maximum", "minimum", "rectifier", "reshape", "slice"}
)
_ANY_SIZE: Final = 2**40
"""More than a circuit of the most digits takes."""


def run_args(k: int, digits: int, columns: int, ends: Ends = PUBLIC_ENDS) -> dict[str, Any]:
    """ezkl's arguments for `2**k` rows, numbers of `digits` digits, and `columns` a block."""
    return {
        **RUN_ARGS,
        "input_visibility": _visibility(ends.hashed_input),
        "output_visibility": _visibility(ends.hashed_output),
        "logrows": k,
        "decomp_legs": digits,
        "num_inner_cols": columns,
    }


def worst_case(graph: CompiledGraph, source: ShownEdge) -> Bounds:
    """Bounds of the circuit over every input of type `source`, and every blind.

    Raises:
        InvalidModel: see `propagate`.
    """
    return propagate(graph, [_span(source, source.edge.low, source.edge.high)])


def check_circuit(graph: CompiledGraph, source: ShownEdge, result: ShownEdge, k: int) -> None:
    """Returns when `graph` proves a shard from `source` to `result` in `2**k` rows.

    Raises:
        InvalidModel: a rule is broken; the message says which.
    """
    _check_ends(graph, source, result)
    for number, node in graph.nodes.items():
        _check_scale(graph, number, node)
        _check_fields(node, graph.run_args["decomp_legs"])
    bounds = worst_case(graph, source)
    ends = Ends(source.is_hashed, result.is_hashed)
    _check_run_args(graph.run_args, k, ends, bounds)
    _check_output(bounds.values[graph.outputs[0][0]], result)
    if source.is_hashed:
        _check_clipped(graph, source, bounds)
        _check_blind(graph, source, result)


def _check_ends(graph: CompiledGraph, source: ShownEdge, result: ShownEdge) -> None:
    _expect(len(graph.inputs) == 1, f"{len(graph.inputs)} inputs where a proof has one")
    _expect(len(graph.outputs) == 1, f"{len(graph.outputs)} outputs where a proof has one")
    ends = (graph.nodes[graph.inputs[0]], graph.nodes[graph.outputs[0][0]])
    for node, edge in zip(ends, (source, result), strict=True):
        _expect(node.shape == edge.shape, f"shape {node.shape} where {edge.shape} was declared")
        _expect(node.scale == 0, f"a boundary has scale {node.scale}, not 0")
    instances = source.edge.elements + result.edge.elements
    _expect(instances <= MAX_INSTANCES, f"{instances} inputs and outputs exceed {MAX_INSTANCES}")


def _check_clipped(graph: CompiledGraph, source: ShownEdge, bounds: Bounds) -> None:
    """A hash bounds nothing: whatever is behind it, only a clip may read the tensor.

    So nothing but views of the input and the first half of a clip holds more when the tensor is
    of any size than when it is of its type.
    """
    any_size = propagate(graph, [_span(source, -_ANY_SIZE, _ANY_SIZE)])
    for number, found in any_size.values.items():
        name = graph.nodes[number].operation.name
        _expect(
            name in _BEFORE_CLIP or _equal(found, bounds.values[number]),
            f"the operation {name} reads a hashed input unclipped",
        )


def _check_blind(graph: CompiledGraph, source: ShownEdge, result: ShownEdge) -> None:
    """The elements behind the tensor are read by nothing; a hashed output ends with them."""
    tensor = source.edge.elements
    slices = [number for number, node in graph.nodes.items() if (graph.inputs[0], 0) in node.inputs]
    for number in slices:
        operation = graph.nodes[number].operation
        places = operation.fields.get("start"), operation.fields.get("end")
        whole = places in ((0, tensor), (tensor, source.elements))
        _expect(operation.name == "slice" and whole, "a hashed input is not cut off its blind")
    blinds = [number for number in slices if graph.nodes[number].operation.fields["start"]]
    readers = [
        node for node in graph.nodes.values() if any((one, 0) in node.inputs for one in blinds)
    ]
    joined = graph.nodes[graph.outputs[0][0]]
    _expect(readers == [joined] * result.is_hashed, "a blind is read by more than a hashed output")
    if result.is_hashed:
        (front, _), (behind, _) = joined.inputs
        flat = graph.nodes[front].shape == (1, result.edge.elements)
        _expect(
            joined.operation.name == "concat" and flat and behind in blinds,
            "a hashed output does not end with the blind of the input",
        )


def _span(source: ShownEdge, low: int, high: int) -> Interval:
    """The interval of every element of an input, and of the blind behind it."""
    tensor, blind = source.edge.elements, source.elements - source.edge.elements
    lows = np.array([low] * tensor + [0] * blind, np.int64)
    highs = np.array([high] * tensor + [BLIND_HIGH] * blind, np.int64)
    return Interval(lows.reshape(source.shape), highs.reshape(source.shape))


def _equal(one: Interval, other: Interval) -> bool:
    return np.array_equal(one.low, other.low) and np.array_equal(one.high, other.high)


def _visibility(is_hashed: bool) -> str:
    return "hashed" if is_hashed else "public"


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


def _check_run_args(found: Mapping[str, Any], k: int, ends: Ends, bounds: Bounds) -> None:
    digits, columns = found["decomp_legs"], found["num_inner_cols"]
    _expect(1 <= columns <= MAX_COLUMNS, f"num_inner_cols is {columns}")
    for name, value in run_args(k, digits, columns, ends).items():
        _expect(found[name] == value, f"{name} is {found[name]}, not {value}")
    _expect(found["rebase_scale"] is None, "rebase_scale is set")
    _expect(
        bounds.digits <= digits <= MAX_DIGITS,
        f"values up to {bounds.decomposed} do not fit {digits} digits of at most {MAX_DIGITS}",
    )


def _check_output(found: Interval, declared: ShownEdge) -> None:
    edge = declared.edge
    lows, highs = (side.reshape(-1)[: edge.elements] for side in (found.low, found.high))
    low, high = int(lows.min()), int(highs.max())
    _expect(
        edge.low <= low and high <= edge.high,
        f"outputs reach [{low}, {high}], [{edge.low}, {edge.high}] was declared",
    )


def _expect(condition: bool, rule: str) -> None:
    if not condition:
        raise InvalidModel(f"not provable: {rule}")
