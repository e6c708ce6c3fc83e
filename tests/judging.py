"""Both judges on pyrevm, and a witness who knows all values of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from nesa.chain.abi import interface
from nesa.models.graph import Shard, Table
from nesa.models.judging import Opening, Question, Witness, evaluate, extent
from nesa.models.opcodes.operands import Fold
from nesa.models.reference import decode
from nesa.models.reference import evaluate as all_values
from tests.revm import NOBODY, RevmChain, RevmContract

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
    def deploy(cls) -> Judges:
        """New ones, without state and so good for any number of tests."""
        chain = RevmChain()
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
        judge = self.element if extent(question)[0] is Fold.WHOLE else self.fold
        shown = [opening.as_abi() for opening in openings]
        return judge, _EVALUATE.encode([question.as_abi(), first, stop, shown])

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
        code = {Fold.WHOLE: 0, Fold.SUM: 1, Fold.LARGEST: 2}[fold]
        return reduce(lambda left, right: self.fold.combine(code, left, right), values)
