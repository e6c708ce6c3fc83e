"""Gas of judging one element, openings included: `python -m benchmarks.disputes`.

Every figure is a whole transaction to a judge, calldata and its intrinsic gas included. An element
of many operands is judged in parts; a game opens one of them, the dearest of the first and the last
ones is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.compositions import Written, layer_norm, softmax
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.judging import Witness
from nesa.models.quantise import Scaling
from nesa.protocol.edges import DType, EdgeType
from tests.judging import Judges, witness_of
from tests.revm import NOBODY

RESULTS: Final = Path(__file__).parent / "results" / "disputes.md"
SIZES: Final = (64, 768, 4096)


@dataclass(frozen=True, slots=True)
class Line:
    """One operator of a table, and what its dearest leaf costs."""

    subject: str
    opcode: str
    operands: int
    parts: int
    gas: int
    calldata: int

    def __str__(self) -> str:
        numbers = (self.operands, self.parts, self.gas, self.calldata)
        return f"| {self.subject} | {self.opcode} | " + " | ".join(f"{n:,}" for n in numbers) + " |"


def dense(operands: int) -> Table:
    """256 channels over int8."""
    builder = TableBuilder([EdgeType(DType.INT8, (1, operands), -127, 127)])
    parameters = _weighted(256, operands)
    return builder.table([builder.add(Opcode.LINEAR, [0], (operands, 256), parameters)])


def convolution() -> Table:
    """256 channels of 14 x 14 to as many, 3 x 3, padded."""
    edge = EdgeType(DType.INT8, (1, 256, 14, 14), -7, 7)
    builder = TableBuilder([edge])
    attributes = (256, 14, 14, 1, 3, 3, 1, 1, 1, 1, 1, 1)
    return builder.table([builder.add(Opcode.CONV, [0], attributes, _weighted(256, 2304))])


def normalisation() -> Table:
    """LayerNorm over rows of 384 int16."""
    builder = TableBuilder([EdgeType(DType.INT16, (1, 16, 384), -32767, 32767)])
    written = layer_norm(builder, 0, 4.0, Scaling(DType.INT8, -127, 127, 1 / 40))
    return builder.table([written.value])


def attention() -> Table:
    """Softmax over rows of 128 scores, and its product with the values."""
    inputs = [EdgeType(DType.INT8, (12, 128, size), -127, 127) for size in (128, 32)]
    builder = TableBuilder(inputs)
    shares = softmax(builder, Written(0, 1 / 40))
    mixed = builder.add(Opcode.MATMUL, [shares.value, 1], (128, 128, 32))
    return builder.table([mixed])


def subjects() -> Iterator[tuple[str, Table]]:
    """What is measured."""
    for size in SIZES:
        yield f"dense layer, K = {size:,}", dense(size)
    yield "convolution, 256 channels, 3 x 3", convolution()
    yield "LayerNorm of 384", normalisation()
    yield "softmax of 128, and its product", attention()


def measure(judges: Judges, subject: str, table: Table) -> Iterator[Line]:
    """A line for each row of the table."""
    generator = np.random.default_rng(1)
    inputs = [
        edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))
        for edge in table.inputs
    ]
    witness = witness_of(table, inputs)
    for index, row in enumerate(table.rows):
        element = row.output_type.elements // 2
        parts = witness.parts(index, element)
        costs = [_cost(judges, witness, index, element, *part) for part in {parts[0], parts[-1]}]
        gas, calldata = max(costs)
        count = witness.extent(index)
        yield Line(subject, row.opcode.name, count, len(parts), gas, calldata)


def table_of(lines: Iterable[Line]) -> str:
    """The lines as markdown."""
    head = "| subject | operator | operands | parts | gas of a leaf | bytes of calldata |"
    return "\n".join([head, "|---|---|---:|---:|---:|---:|", *map(str, lines)])


def main() -> None:
    """Measures, prints and keeps the table."""
    judges = Judges.deploy()
    lines = [line for subject, table in subjects() for line in measure(judges, subject, table)]
    text = f"""# Gas of judging one element

Whole transactions: calldata with row, operands and Merkle paths, and the judgement.
Written by `python -m benchmarks.disputes`.

{table_of(lines)}
"""
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)


def _cost(
    judges: Judges, witness: Witness, index: int, element: int, first: int, stop: int
) -> tuple[int, int]:
    question = witness.question(index, element)
    openings = witness.openings(index, element, first, stop)
    judge, data = judges.transaction(question, first, stop, openings)
    judge.chain.send(NOBODY, judge.address, data)
    return judge.chain.gas_used, len(data)


def _weighted(channels: int, operands: int) -> list[Parameter]:
    generator = np.random.default_rng(channels + operands)
    weights = generator.integers(-30, 31, (channels, operands))
    return [
        Parameter(ParameterKind.WEIGHTS, weights),
        Parameter(ParameterKind.BIASES, generator.integers(-999, 1000, channels)),
    ]


if __name__ == "__main__":
    main()
