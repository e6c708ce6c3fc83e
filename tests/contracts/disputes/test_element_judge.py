"""The judge of single elements takes nothing but the operands of the very element."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode
from nesa.models.judging import Opening, evaluate, is_refuted
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidOpening
from tests.contracts.disputes.changes import changed_openings, expect_all_refused, witness_for
from tests.judging import NO_INTEGER, witness_of
from tests.revm import NOBODY, Revert

KINDS = (
    "rescale by channel",
    "rescale m=127 h=2 int8",
    "add_rescale of a row",
    "table int8",
    "table uint8 in part",
    "divide_search k=24 bits=16",
    "root_search k=24 bits=16",
    "embedding",
    "reshape",
    "transpose rank 4",
    "concat",
    "slice",
)


@pytest.mark.parametrize("name", KINDS)
def test_no_field_may_change(judges, name):
    expect_all_refused(judges, witness_for(name), 1)


@pytest.mark.parametrize("stray", [0, 1])
def test_an_operand_out_of_range_makes_no_integer(judges, stray):
    edge = EdgeType(DType.INT8, (1, 2), -5, 5)
    builder = TableBuilder([edge, edge])
    total = builder.add_rescaled((0, 1), (64, 64), 1, EdgeType(DType.INT8, (1, 2), -6, 6))
    table = builder.table([total])
    said = witness_of(table, [bytes(2), bytes(2)])
    said.keep(stray, bytes([0, 6]))
    for element, found in ((0, 0), (1, NO_INTEGER)):
        question, openings = said.question(0, element), said.openings(0, element, 0, 1)
        assert judges.evaluate(question, 0, 1, openings) == found
        assert evaluate(question, 0, 1, openings) == (None if found else 0)


@pytest.mark.parametrize(("claimed", "place"), [(0, 2), (2, 0)])
def test_no_place_is_best_among_values_out_of_range(judges, claimed, place):
    builder = TableBuilder([EdgeType(DType.INT8, (1, 3), -5, 5)])
    table = builder.table([builder.add(Opcode.ARG_MAX, [0], (3,))])
    said = witness_of(table, [bytes(3)])
    said.keep(0, bytes([6, 0, 0]))
    assert judges.refutes(said, 0, 0, claimed, place)
    assert not judges.refutes(said, 0, 0, 1, 2)


def test_no_field_may_change_where_a_claim_is_refuted(judges):
    witness = witness_for("arg_max ties")
    question = witness.question(0, 0)
    opening = witness.open_places(0, [0, 1])
    for other in changed_openings(opening):
        with pytest.raises(InvalidOpening):
            is_refuted(question, 0, 1, other)
        with pytest.raises(Revert):
            judges.element.is_refuted(question.as_abi(), 0, 1, other.as_abi())


@pytest.mark.parametrize("claimed", [-1, 5, 2**40, -(2**200)])
def test_a_claim_that_is_no_place_is_refuted_by_itself(judges, claimed):
    question = witness_for("arg_max ties").question(0, 0)
    assert judges.element.is_refuted(question.as_abi(), claimed, 0, Opening().as_abi())
    assert is_refuted(question, claimed, 0, Opening())


@pytest.mark.parametrize(
    ("place", "reason"), [(5, "judge: no such place"), (2, "judge: the claimed place")]
)
def test_a_rival_is_another_place(judges, place, reason):
    witness = witness_for("arg_max ties")
    question, opening = witness.question(0, 0), witness.open_places(0, [0])
    with pytest.raises(Revert, match=reason):
        judges.element.is_refuted(question.as_abi(), 2, place, opening.as_abi())
    with pytest.raises(InvalidOpening):
        is_refuted(question, 2, place, opening)


def test_only_an_arg_max_is_refuted(judges):
    witness = witness_for("row_max")
    question, opening = witness.question(0, 0), witness.open_places(0, [0])
    with pytest.raises(Revert, match="judge: not an ArgMax"):
        judges.element.is_refuted(question.as_abi(), 0, 1, opening.as_abi())
    with pytest.raises(InvalidOpening):
        is_refuted(question, 0, 1, opening)


def test_an_arg_max_is_not_evaluated(judges):
    witness = witness_for("arg_max ties")
    openings = [witness.open_places(0, [0])]
    with pytest.raises(Revert, match="judge: not judged by value"):
        judges.evaluate(witness.question(0, 0), 0, 1, openings)
    with pytest.raises(InvalidOpening):
        evaluate(witness.question(0, 0), 0, 1, tuple(openings))


def test_operators_that_are_folded_are_not_judged_at_once(judges):
    witness = witness_for("linear K=1")
    openings = witness.openings(0, 0, 0, 1)
    data = judges.calldata(witness.question(0, 0), 0, 1, openings)
    with pytest.raises(Revert, match="judge: is judged in parts"):
        judges.element.chain.send(NOBODY, judges.element.address, data)


@pytest.mark.parametrize(("first", "stop"), [(0, 2), (1, 2), (0, 0)])
def test_there_are_no_parts(judges, first, stop):
    witness = witness_for("divide_search k=24 bits=16")
    openings = witness.openings(0, 0, 0, 1)
    with pytest.raises(Revert, match="judge: has no parts"):
        judges.evaluate(witness.question(0, 0), first, stop, openings)
    with pytest.raises(InvalidOpening):
        evaluate(witness.question(0, 0), first, stop, openings)


def test_a_shard_is_no_operator(judges):
    witness = witness_for("slice")
    question = witness.question(0, 0)
    tree = witness.rows
    shard = witness.table.shards[0].encoded(1)
    other = replace(question, row=shard, path=tree.siblings([1]), tensors=())
    data = judges.calldata(other, 0, 1, [])
    with pytest.raises(Revert):
        judges.element.chain.send(NOBODY, judges.element.address, data)
    with pytest.raises(InvalidOpening):
        evaluate(other, 0, 1, ())
