"""From a shard of the table to an ONNX file: one form for ONNX Runtime, one for ezkl."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper

from nesa.models.graph import FORMAT, Opcode, Part, Row, Shard, Table
from nesa.models.kernels import byte_linear
from nesa.models.opcodes import operator
from nesa.models.opcodes.interface import NodeWriter, largest_magnitude
from nesa.protocol.circuits import BLIND_ELEMENTS, PUBLIC_ENDS, Ends, ShownEdge
from nesa.protocol.errors import InvalidModel

OPSET: Final = 13
IR_VERSION: Final = 8

RUNTIME_NODES: Final = frozenset(
    {"Add", "ArgMax", "Cast", "Clip", "Concat", "Conv", "Div", "Floor", "Gather"}
    | {"GatherElements", "Identity", "Less", "MatMul", "MaxPool", "Mul", "ReduceMax"}
    | {"ReduceSum", "Reshape", "Slice", "Sqrt", "Sub", "Transpose", "Where"}
    | byte_linear.NODES
)
"""Every node that ONNX Runtime may be given: all of them exact on the integers of a table."""

CIRCUIT_NODES: Final = RUNTIME_NODES - byte_linear.NODES - {"GatherElements", "Sqrt", "Sub"}
"""Every node that ezkl may be given. It does not refuse others: it computes something else."""

DIGIT_BASE: Final = 128
MAX_DIGITS: Final = 6
MAX_INSTANCES: Final = 128
"""Elements of inputs and outputs together that a verifier on chain is called with."""


@dataclass(frozen=True, slots=True)
class CircuitNeeds:
    """What a circuit for one shard needs, from worst-case interval analysis.

    `digits`: digits in base 128 of the largest magnitude (ezkl calls them legs), at least 2.
    `instances`: elements of inputs and outputs. `rows`: estimated rows at four digits.
    `obstacles`: why the shard cannot be proved, one sentence each; empty when it can.
    """

    digits: int
    instances: int
    rows: int
    obstacles: tuple[str, ...]


def runtime_model(table: Table, shard: Shard) -> bytes:
    """ONNX file of the shard for ONNX Runtime; equal tables give equal bytes.

    Inputs `x0`, `x1`, .. and outputs `y0`, `y1`, .. are float32 tensors of integers, in the order
    of the shard's edges.

    Raises:
        InvalidModel: a row whose number is not that of an operator.
    """
    return part_model(table, shard.part)


def part_model(table: Table, part: Part) -> bytes:
    """As `runtime_model`, of rows that need not follow each other; values that go in or come out
    are below 2**24.

    Raises:
        InvalidModel: a row whose number is not that of an operator.
    """
    return _serialise(_lower(table, part, None), RUNTIME_NODES)


def circuit_model(table: Table, shard: Shard, ends: Ends = PUBLIC_ENDS) -> bytes:
    """ONNX file of the shard for ezkl at scale 0, named as in `runtime_model`.

    A tensor that `ends` hashes is flat, [1, elements + 16], its blind at the end. The blind goes
    from the input to the output unread. What comes in is clipped first: nothing else bounds it.

    Raises:
        InvalidModel: the shard cannot be proved; the message names the first obstacle.
    """
    obstacles = circuit_needs(table, shard).obstacles
    if obstacles:
        raise InvalidModel(obstacles[0])
    return _serialise(_lower(table, shard.part, ends), CIRCUIT_NODES)


@dataclass(frozen=True, slots=True)
class RowNeeds:
    """What one row adds to a circuit: see CircuitNeeds; `largest` is what it splits into digits."""

    largest: int
    rows: int
    obstacle: str


def circuit_needs(table: Table, shard: Shard) -> CircuitNeeds:
    """Digits, instances, rows and obstacles of a circuit for the shard."""
    needs = [row_needs(table, row) for row in table.rows[shard.first : shard.end]]
    return shard_needs(table, shard, needs)


def row_needs(table: Table, row: Row) -> RowNeeds:
    """What `row` adds to the circuit of every shard that holds it."""
    rule, types = operator(row.opcode), table.types_of(row.inputs)
    largest, rows = rule.largest_decomposed(row, types), rule.circuit_rows(row, types)
    return RowNeeds(largest, rows, rule.unprovable)


def shard_needs(table: Table, shard: Shard, needs: Sequence[RowNeeds]) -> CircuitNeeds:
    """`circuit_needs` from the needs of the shard's own rows."""
    edges = table.types_of(shard.inputs + shard.outputs)
    split = [need.largest for need in needs]
    largest = max(split + [largest_magnitude(edge) for edge in edges])  # ezkl splits both ends too
    digits = digits_for(largest)
    instances = sum(edge.elements for edge in edges)
    obstacles = [need.obstacle for need in needs if need.obstacle]
    if digits > MAX_DIGITS:
        obstacles.append(f"values up to {largest} need {digits} digits, {MAX_DIGITS} are allowed")
    if instances > MAX_INSTANCES:
        obstacles.append(f"{instances} inputs and outputs, {MAX_INSTANCES} are allowed")
    if set(shard.inputs) & set(shard.outputs):
        obstacles.append("a value passes through the shard unused")
    return CircuitNeeds(digits, instances, sum(need.rows for need in needs), tuple(obstacles))


def digits_for(largest: int) -> int:
    """Smallest count of digits in base 128, at least 2, with `128**count > largest`."""
    digits = 2
    while DIGIT_BASE**digits <= largest:
        digits += 1
    return digits


def _lower(table: Table, part: Part, ends: Ends | None) -> ModelProto:
    """The part for ONNX Runtime, or with `ends` for ezkl."""
    writer = NodeWriter()
    names = {value: f"x{place}" for place, value in enumerate(part.inputs)}
    if ends is not None and ends.hashed_input:
        names = {value: _unhashed(table, value, writer) for value in part.inputs}
    fused = {} if ends is not None else fused_rows(table, part)
    for index in part.rows:
        if table.output_of(index) in names:
            continue  # a Rescale that its Linear has taken in
        row = table.rows[index]
        operands, types = [names[value] for value in row.inputs], table.types_of(row.inputs)
        if index in fused:
            rescale = table.rows[fused[index]]
            made = byte_linear.lower(row, rescale, types[0], operands[0], writer)
            names[table.output_of(fused[index])] = made
        else:
            rule = operator(row.opcode)
            lower = rule.lower_ort if ends is None else rule.lower_ezkl
            names[table.output_of(index)] = lower(row, types, operands, writer)
    if ends is not None and ends.hashed_output:
        (value,) = part.outputs
        names[value] = _to_hash(table, part, names[value], writer)
    for place, value in enumerate(part.outputs):
        writer.nodes.append(
            helper.make_node("Identity", [names[value]], [f"y{place}"], f"y{place}")
        )
    return _model(table, part, writer, ends or PUBLIC_ENDS)


def _unhashed(table: Table, value: int, writer: NodeWriter) -> str:
    """The tensor in front of its blind in the flat input, within the range of its edge."""
    edge = table.type_of(value)
    bounds = [writer.constant(np.array(end, np.float32)) for end in (edge.low, edge.high)]
    tensor = writer.node("Clip", [_sliced(0, edge.elements, writer), *bounds])
    flat = (1, edge.elements)
    return tensor if edge.shape == flat else writer.reshape(tensor, edge.shape)


def _to_hash(table: Table, part: Part, name: str, writer: NodeWriter) -> str:
    """The output `name` flat, and behind it the blind of the input."""
    given, computed = table.type_of(part.inputs[0]), table.type_of(part.outputs[0])
    flat = (1, computed.elements)
    tensor = name if computed.shape == flat else writer.reshape(name, flat)
    blind = _sliced(given.elements, given.elements + BLIND_ELEMENTS, writer)
    return writer.node("Concat", [tensor, blind], axis=1)


def _sliced(start: int, end: int, writer: NodeWriter) -> str:
    """Elements of the flat input."""
    places = [writer.constant(np.array([place], np.int64)) for place in (start, end, 1)]
    return writer.node("Slice", ["x0", *places])


def fused_rows(table: Table, part: Part) -> dict[int, int]:
    """Linear rows that are computed together with a Rescale, the only one to read them."""
    readers: dict[int, list[int]] = {}
    for index in part.rows:
        for value in table.rows[index].inputs:
            readers.setdefault(value, []).append(index)
    found = {}
    for index in part.rows:
        row, value = table.rows[index], table.output_of(index)
        (reader, *more) = readers.get(value, []) or [index]
        rescale = table.rows[reader]
        if row.opcode is not Opcode.LINEAR or rescale.opcode is not Opcode.RESCALE:
            continue
        alone = not more and value not in part.outputs
        if alone and byte_linear.fits(row, rescale, table.type_of(row.inputs[0])):
            found[index] = reader
    return found


def _model(table: Table, part: Part, writer: NodeWriter, ends: Ends) -> ModelProto:
    sides = {
        "x": [ShownEdge(edge, ends.hashed_input) for edge in table.types_of(part.inputs)],
        "y": [ShownEdge(edge, ends.hashed_output) for edge in table.types_of(part.outputs)],
    }
    infos = {
        letter: [
            helper.make_tensor_value_info(f"{letter}{place}", TensorProto.FLOAT, edge.shape)
            for place, edge in enumerate(edges)
        ]
        for letter, edges in sides.items()
    }
    nodes, constants = _needed(writer, {info.name for info in infos["y"]})
    graph = helper.make_graph(nodes, FORMAT, infos["x"], infos["y"], constants)
    domains = sorted({node.domain for node in nodes} | {""})
    opsets = [helper.make_opsetid(name, 1 if name else OPSET) for name in domains]
    return helper.make_model(
        graph,
        producer_name="nesa",
        opset_imports=opsets,
        ir_version=IR_VERSION,
    )


def _needed(writer: NodeWriter, outputs: set[str]) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants that the outputs depend on; of a tensor's forms some stay unused."""
    wanted, kept = set(outputs), []
    for node in reversed(writer.nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1], [constant for constant in writer.constants if constant.name in wanted]


def _serialise(model: ModelProto, allowed: frozenset[str]) -> bytes:
    strangers = {node.op_type for node in model.graph.node} - allowed
    if strangers:
        raise InvalidModel(f"nodes that are not on the list: {', '.join(sorted(strangers))}")
    checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
