"""Every way to change one field of what a judge is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from nesa.models.judging import Opening, Question, Witness, evaluate
from nesa.protocol.errors import InvalidOpening
from scripts.operator_cases import CASES
from tests.judging import Judges, witness_of
from tests.revm import NOBODY, Revert


def flipped(data: bytes, place: int) -> bytes:
    """One bit changed."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def changed_nodes(nodes: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """One node changed, left out, or too many."""
    for place, node in enumerate(nodes):
        yield (*nodes[:place], flipped(node, place % 32), *nodes[place + 1 :])
        yield nodes[:place] + nodes[place + 1 :]
    yield (*nodes, bytes(32))


def changed_openings(opening: Opening) -> Iterator[Opening]:
    """Every field of one opening that opens something, changed."""
    for place in range(0, len(opening.data), 13):
        yield replace(opening, data=flipped(opening.data, place))
    yield replace(opening, data=flipped(opening.data, len(opening.data) - 1))
    yield replace(opening, leaves=tuple(leaf + 1 for leaf in opening.leaves))
    yield replace(opening, leaves=opening.leaves + opening.leaves[-1:])
    yield replace(opening, leaves=(*opening.leaves, opening.leaves[-1] + 1))
    yield replace(opening, leaves=opening.leaves[1:])
    yield replace(opening, leaves=opening.leaves[1:], data=opening.data[256:])
    yield replace(opening, leaves=(), data=b"", siblings=(bytes(32),))
    yield from (replace(opening, siblings=nodes) for nodes in changed_nodes(opening.siblings))
    yield from (replace(opening, path=nodes) for nodes in changed_nodes(opening.path))


def changed_questions(question: Question) -> Iterator[Question]:
    """Every field of a question that the answer stands on, changed."""
    yield replace(question, operators_root=flipped(question.operators_root, 3))
    yield replace(question, element=2**40)
    yield replace(question, tensors=(*question.tensors, bytes(32)))
    for place in range(0, len(question.row), 31):
        yield replace(question, row=flipped(question.row, place))
    yield from (replace(question, path=nodes) for nodes in changed_nodes(question.path))


def changes(
    question: Question, openings: Sequence[Opening]
) -> Iterator[tuple[Question, tuple[Opening, ...]]]:
    """One field of anything changed."""
    yield from ((other, tuple(openings)) for other in changed_questions(question))
    yield question, tuple(openings[:-1])
    yield question, (*openings, Opening())
    for place, opening in enumerate(openings):
        if not opening.leaves:
            continue
        for other in changed_openings(opening):
            yield question, (*openings[:place], other, *openings[place + 1 :])


def witness_for(name: str) -> Witness:
    """Who ran a published vector."""
    case = CASES[name]
    return witness_of(case.table, case.runs[-1])


def expect_all_refused(judges: Judges, witness: Witness, element: int) -> None:
    """Neither the contract nor its twin takes anything but the right openings."""
    question = witness.question(0, element)
    judge = judges.judge_of(question)
    for first, stop in (witness.parts(0, element)[0], witness.parts(0, element)[-1]):
        openings = witness.openings(0, element, first, stop)
        judges.evaluate(question, first, stop, openings)
        for other, shown in changes(question, openings):
            with pytest.raises(InvalidOpening):
                evaluate(other, first, stop, shown)
            data = judges.calldata(other, first, stop, shown)
            with pytest.raises(Revert):
                judge.chain.send(NOBODY, judge.address, data)
