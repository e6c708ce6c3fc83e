"""A very small compiled text model with drawn weights, and a tokenizer for it."""

from __future__ import annotations

from zlib import crc32

from nesa.cli import compiling
from nesa.models.card import Feature, Tokens
from nesa.models.description import TensorWords
from nesa.models.folder import CompiledModel
from nesa.models.measuring import EvaluationRows
from tests.models.test_emitting import LENGTH, WORDS, encoder, sentences

NAME = "letters"


def text_model() -> CompiledModel:
    """Twelve tokens to the mean of their states, which leans towards that of shared words."""
    words = TensorWords(
        name=NAME,
        title="Drawn at random",
        description="",
        data="",
        licence="",
        features=(Feature(name="token id", unit="", offset=0.0, step=1.0),),
        task="embedding",
        tokens=Tokens(tokenizer="words by checksum", padding=0),
    )
    data = compiling.Data(sentences(48, 1), EvaluationRows(sentences(8, 2), None))
    plan = compiling.Plan(percentile=100.0)
    model, _ = compiling.compile_from_files(encoder(), data, words, plan)
    return model


def tokenize(text: str) -> list[int]:
    """A number for each of the first words, filled up with 0."""
    words = text.lower().replace(".", "").split()[:LENGTH]
    ids = [1 + crc32(word.encode()) % (WORDS - 1) for word in words]
    return ids + [0] * (LENGTH - len(ids))
