"""The published test vectors are those of the rules as they stand."""

from __future__ import annotations

from scripts.export_test_vectors import PATH, document


def test_the_published_vectors_are_fresh() -> None:
    assert PATH.read_text() == document(), "run `python -m scripts.export_test_vectors`"
