"""Both judges on pyrevm, and a witness who knows all values of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesa.chain.abi import interface
from nesa.models.graph import Opcode, Shard, Table
from nesa.models.judging import (
    Opening,
    Question,
    Witness,
    evaluate,
    extent,
    is_refuted,
)
from nesa.models.opcodes.operands import Fold
from nesa.models.reference import decode
from nesa.models.reference import evaluate as all_values
from tests.revm import NOBODY, RevmChain, RevmContract

NO_INTEGER: Final = -(2**255)
"""What the contracts find where an operand is out of its range."""

_EVALUATE: Final = interface("FoldJudge").function("evaluate", 4)


def witness_of(table: Table, inputs: Sequence[bytes]) -> Witness:
    """Somebody who ran the whole table."""
    whole = Shard(0, len(table.rows), table.crossing(0), table.outputs)
    return Witness(table, all_values(table, whole, decode(table.inputs, inputs)))


@dataclass(frozen=True)
class Judges:
    """The contracts."""

    element: RevmContract
    fold: RevmContract

    @classmethod
    def deploy(cls, chain: RevmChain | None = None) -> Judges:
        """New ones, without state and so good for any number of tests."""
        chain = chain or RevmChain()
        names = ("ElementJudge", "FoldJudge")
        return cls(*(chain.deploy(f"contracts/disputes/{name}") for name in names))

    def evaluate(
        self, question: Question, first: int, stop: int, openings: Sequence[Opening]
    ) -> int:
        """What the right contract says."""
        judge, data = self.transaction(question, first, stop, openings)
        (found,) = _EVALUATE.decode(judge.chain.send(NOBODY, judge.address, data))
        assert isinstance(found, int)
        return found

    def transaction(
        self, question: Question, first: int, stop: int, openings: Sequence[Opening]
    ) -> tuple[RevmContract, bytes]:
        """The right contract, and the calldata that it is given."""
        return self.judge_of(question), self.calldata(question, first, stop, openings)

    def judge_of(self, question: Question) -> RevmContract:
        """Which contract judges the row."""
        return self.element if extent(question)[0] is Fold.WHOLE else self.fold

    def calldata(
        self, question: Question, first: int, stop: int, openings: Sequence[Opening]
    ) -> bytes:
        """A call of `evaluate`, the same for both contracts."""
        shown = [opening.as_abi() for opening in openings]
        return _EVALUATE.encode([question.as_abi(), first, stop, shown])

    def is_largest(self, witness: Witness, index: int, element: int, claimed: int) -> bool:
        """Whether no place of an ArgMax's row refutes a claim."""
        size = witness.table.rows[index].attributes[0]
        rivals = [place for place in range(size) if place != claimed]
        return not any(self.refutes(witness, index, element, claimed, rival) for rival in rivals)

    def refutes(self, witness: Witness, index: int, element: int, claimed: int, place: int) -> bool:
        """Whether one place refutes a claimed ArgMax, as both judges see it."""
        question, row = witness.question(index, element), witness.table.rows[index]
        size = row.attributes[0]
        places = [element * size + at for at in (claimed, place)]
        opening = witness.open_places(row.inputs[0], places)
        found = self.element.is_refuted(question.as_abi(), claimed, place, opening.as_abi())
        assert found == is_refuted(question, claimed, place, opening)
        return bool(found)

    def is_right(self, witness: Witness, index: int, element: int, claimed: int) -> bool:
        """Whether a claimed element of any operator is right."""
        if witness.table.rows[index].opcode is Opcode.ARG_MAX:
            return self.is_largest(witness, index, element, claimed)
        return self.element_of(witness, index, element) == claimed

    def element_of(self, witness: Witness, index: int, element: int) -> int:
        """An element as both judges and their Python twin see it, part by part."""
        question = witness.question(index, element)
        fold, count = extent(question)
        parts = witness.parts(index, element)
        assert (parts[0][0], parts[-1][1]) == (0, count)
        values = []
        for first, stop in parts:
            openings = witness.openings(index, element, first, stop)
            values.append(self.evaluate(question, first, stop, openings))
            assert evaluate(question, first, stop, openings) == values[-1]
        return max(values) if fold is Fold.LARGEST else sum(values)


def corrupted(witness: Witness, index: int, place: int) -> Witness:
    """Somebody who says something else of one element of a row's output, within its range."""
    value = witness.table.output_of(index)
    edge = witness.table.type_of(value)
    tensor = witness.values[value].copy()
    flat = tensor.reshape(-1)
    flat[place] += 1 if flat[place] < edge.high else -1
    return witness.changed({value: tensor})


def check_table(
    judges: Judges, witness: Witness, count: int, generator: np.random.Generator
) -> None:
    """Of every row: corners and drawn elements are right, and a corrupted one is found."""
    table = witness.table
    for index, row in enumerate(table.rows):
        wanted = witness.values[table.output_of(index)].reshape(-1)
        drawn = generator.choice(wanted.size, min(count, wanted.size), replace=False).tolist()
        for place in {0, wanted.size - 1, *drawn}:
            assert judges.is_right(witness, index, place, int(wanted[place])), row.opcode
        if row.output_type.low < row.output_type.high:
            place = drawn[0]
            liar = corrupted(witness, index, place)
            claimed = int(liar.values[table.output_of(index)].reshape(-1)[place])
            assert claimed != wanted[place]
            assert not judges.is_right(witness, index, place, claimed), row.opcode


def drawn_inputs(table: Table, generator: np.random.Generator) -> list[bytes]:
    """Inputs from all over their ranges."""
    return [
        edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))
        for edge in table.inputs
    ]
