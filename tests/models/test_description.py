"""Descriptions are read by their task, and a wrong field is named."""

from __future__ import annotations

import json

import pytest

from nesa.models.description import ClassifierWords, TensorWords, read_description
from nesa.protocol.errors import InvalidInput

FACTS = {
    "name": "net",
    "title": "Net",
    "description": "A net.",
    "data": "none",
    "licence": "Apache-2.0",
    "features": [{"name": "x", "unit": "", "offset": 0.0, "step": 1.0}],
}


def written(tmp_path, **changes):
    path = tmp_path / "words.json"
    path.write_text(json.dumps({**FACTS, **changes}))
    return path


def test_one_without_a_task_is_of_a_classifier(tmp_path):
    assert isinstance(read_description(written(tmp_path, labels=["a", "b"])), ClassifierWords)


def test_an_embedding_reads_tokens(tmp_path):
    tokens = {"tokenizer": "WordPiece", "padding": 0}
    words = read_description(written(tmp_path, task="embedding", tokens=tokens))
    assert isinstance(words, TensorWords)
    assert words.tokens is not None
    assert words.tokens.padding == 0


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({}, "labels"),
        ({"task": "embedding", "labels": ["a"]}, "labels"),
        ({"task": "guessing"}, "task"),
        ({"labels": ["a"], "name": "No Spaces"}, "name"),
        ({"labels": ["a"], "features": [{"name": "x"}]}, "features.0.unit"),
        ({"task": "embedding", "tokens": {"tokenizer": "x", "padding": -1}}, "tokens.padding"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, changes, place):
    with pytest.raises(InvalidInput, match=place):
        read_description(written(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe"])
def test_what_is_no_description_is_refused(tmp_path, content):
    path = tmp_path / "words.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"words\.json"):
        read_description(path)
    with pytest.raises(InvalidInput, match="cannot read"):
        read_description(tmp_path / "missing.json")
