"""What leaves the client of a split model: activations, and nothing that the input can be read in.

No features of tables and images, no token ids and no embeddings of text. Activations are found
where they must be, and embeddings where a part begins right behind them: the search sees both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nesa.cli.demo.leaks import Trace, find, spellings
from nesa.models.folder import CompiledModel, load
from nesa.models.graph import Opcode, Part, Table
from nesa.models.measuring import part_runner
from nesa.privacy.split.parts import Parts, split
from nesa.privacy.split.places import places
from nesa.privacy.split.running import SplitRunner
from nesa.protocol.errors import InvalidModel
from tests.text_model import text_model, tokenize

MODELS = Path(__file__).parents[3] / "models"
ROWS = 8


def value(table: Table, wanted: int, tensor: bytes) -> NDArray[np.int64]:
    """A value of the table for an input."""
    rows = tuple(range(wanted - len(table.inputs) + 1))
    (found,) = part_runner(table, Part(rows, table.crossing(0), (wanted,))).run([tensor])
    return table.type_of(wanted).decode(found).astype(np.int64)


def all_splits(table: Table) -> list[Parts]:
    """A part that begins at each row where one may, as long as it gets."""
    found = []
    for first in range(1, len(table.rows) - 1):
        for end in range(len(table.rows) - 1, first, -1):
            try:
                found.append(split(table, first, end))
                break
            except InvalidModel:
                continue
    return found


@pytest.mark.parametrize("name", ["breast-cancer-mlp", "digits-cnn"])
def test_no_features_leave(name: str) -> None:
    model = load(MODELS / name)
    begins = all_splits(model.table)
    assert begins
    for parts in begins:
        runner = SplitRunner(parts)
        for row in model.test_rows().inputs[:ROWS]:
            tensor = model.input_edge.encode(row)
            sent = [Trace("what leaves", runner.begin([tensor]).sent)]
            secrets = spellings(tensor, model.input_edge.decode(tensor))
            assert not find(secrets, sent), parts.first
            (edge,) = parts.middle.inputs
            kept = value(parts.whole, parts.sent[0], tensor)
            if len(parts.sent) == 1:
                assert find({"activations": edge.encode(kept)}, sent)


@pytest.fixture(scope="module")
def text() -> CompiledModel:
    return text_model()


TEXTS = ("the patient has a fever and a cough", "leave of twenty weeks", "a b c d e f g h i j k l")


def holds(sent: NDArray[np.int64], sought: NDArray[np.int64]) -> bool:
    """Whether numbers stand behind each other somewhere."""
    flat, wanted = sent.reshape(-1), sought.reshape(-1)
    if len(wanted) > len(flat):
        return False
    windows = np.lib.stride_tricks.sliding_window_view(flat, len(wanted))
    return bool((windows == wanted).all(axis=1).any())


def layer_zero(table: Table) -> list[int]:
    """Values of the embedding layer: states in front of its norm, which begins with a sum."""
    end = next(index for index, row in enumerate(table.rows) if row.opcode is Opcode.ROW_SUM)
    shape = table.type_of(table.output_of(0)).shape
    states = [index for index in range(end) if table.type_of(table.output_of(index)).shape == shape]
    found = [table.output_of(index) for index in states]
    assert len(found) >= 3, "two tables of embeddings and their sum at least"
    return found


def test_no_ids_and_no_embeddings_leave(text: CompiledModel) -> None:
    """Neither what is looked up for a token nor its sum with the position, wherever it is split."""
    table, begins = text.table, all_splits(text.table)
    assert len(begins) > 20
    for words in TEXTS:
        ids = np.array([tokenize(words)])
        tensor, real = text.input_edge.encode(ids), ids[ids > 0]
        tokens = [
            row
            for one in layer_zero(table)
            for row in value(table, one, tensor).reshape(ids.size, -1)[: len(real)]
        ]
        # What would have left right behind the embedding: the search sees it there.
        assert holds(value(table, layer_zero(table)[-1], tensor), tokens[-1])
        for parts in begins:
            begun = SplitRunner(parts).begin([tensor])
            sent = parts.middle.inputs[0].decode(begun.sent).astype(np.int64)
            assert not holds(sent, real), parts.first
            assert not find(spellings(tensor, ids), [Trace("what leaves", begun.sent)])
            assert not any(holds(sent, row) for row in tokens), parts.first
            assert holds(sent, value(table, parts.sent[0], tensor))


def test_a_part_that_begins_right_behind_an_embedding_is_refused(text: CompiledModel) -> None:
    for first in range(1, 8):
        with pytest.raises(InvalidModel, match="looked up for its ids|read nothing of the rows"):
            split(text.table, first, len(text.table.rows) - 1)
    assert places(text.table)[0].row > 8
