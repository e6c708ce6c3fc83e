"""The handbook of `examples/knowledge_base/`, and how well an embedding model searches it.

An answer is right when the passage nearest to the query by cosine is the one that was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from nesa.models.card import Part
from nesa.protocol.errors import InvalidInput

FOLDER: Final = Path(__file__).resolve().parent.parent / "examples" / "knowledge_base"

Vectors = NDArray[np.float64]

Embedding = Callable[[Sequence[str]], NDArray[np.floating[Any]]]
"""Texts to vectors [texts, width] of any length; what is compared is their direction."""

Line = TypeVar("Line", bound=Part)


class Passage(Part):
    """One paragraph of the handbook."""

    id: str
    title: str
    text: str

    @property
    def indexed(self) -> str:
        """What is embedded: a paragraph is found by its heading too."""
        return f"{self.title}. {self.text}"


class Query(Part):
    """A question, and the id of the passage that answers it."""

    text: str
    passage: str


class Sentence(Part):
    """Text of other content, to calibrate with."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class KnowledgeBase:
    """Texts to search, questions, and for each question the index of its passage, [queries]."""

    passages: tuple[str, ...]
    queries: tuple[str, ...]
    answers: NDArray[np.int64]
    calibration: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Unit vectors of a knowledge base: passages [n, width] and queries [m, width]."""

    passages: Vectors
    queries: Vectors

    @property
    def nearest(self) -> NDArray[np.int64]:
        """For each query the index of the passage with the highest cosine, the first of equals."""
        places: NDArray[np.int64] = (self.queries @ self.passages.T).argmax(axis=1)
        return places


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near one model comes to another.

    `mean_cosine` and `lowest_cosine` are over the vectors of all passages and queries,
    `top_one` is the share of queries for which both find the same passage.
    """

    mean_cosine: float
    lowest_cosine: float
    top_one: float


def load(folder: Path = FOLDER) -> KnowledgeBase:
    """The knowledge base in `passages.jsonl`, `queries.jsonl` and `calibration.jsonl`.

    Raises:
        InvalidInput: a file is missing, a line is not as it should be, or a query names a passage
            that is not there.
    """
    passages = _lines(folder / "passages.jsonl", Passage)
    queries = _lines(folder / "queries.jsonl", Query)
    places = {passage.id: place for place, passage in enumerate(passages)}
    if len(places) != len(passages):
        raise InvalidInput(f"{folder / 'passages.jsonl'}: an id is there twice")
    missing = [query.passage for query in queries if query.passage not in places]
    if missing:
        raise InvalidInput(f"{folder / 'queries.jsonl'}: no passage has the id {missing[0]!r}")
    return KnowledgeBase(
        passages=tuple(passage.indexed for passage in passages),
        queries=tuple(query.text for query in queries),
        answers=np.array([places[query.passage] for query in queries], np.int64),
        calibration=tuple(line.text for line in _lines(folder / "calibration.jsonl", Sentence)),
    )


def embed(embedding: Embedding, base: KnowledgeBase) -> Embedded:
    """Every passage and query of `base`, normalised.

    Raises:
        InvalidInput: a vector is zero or holds NaN or infinity, so that it has no direction.
    """
    return Embedded(_directions(embedding(base.passages)), _directions(embedding(base.queries)))


def hit_rate(embedded: Embedded, base: KnowledgeBase) -> float:
    """Share of queries whose nearest passage is the one that was meant."""
    return float((embedded.nearest == base.answers).mean())


def agreement(reference: Embedded, other: Embedded) -> Agreement:
    """How near `other` comes to `reference` on the same knowledge base.

    Raises:
        InvalidInput: they hold different numbers of vectors, or of different widths.
    """
    if _shapes(reference) != _shapes(other):
        raise InvalidInput("only embeddings of one knowledge base and width can be compared")
    cosines = np.concatenate(
        [
            np.sum(reference.passages * other.passages, axis=1),
            np.sum(reference.queries * other.queries, axis=1),
        ]
    )
    same = reference.nearest == other.nearest
    return Agreement(float(cosines.mean()), float(cosines.min()), float(same.mean()))


def _shapes(embedded: Embedded) -> tuple[tuple[int, ...], ...]:
    return embedded.passages.shape, embedded.queries.shape


def _directions(vectors: NDArray[np.floating[Any]]) -> Vectors:
    values = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise InvalidInput("an embedding is zero, NaN or infinite")
    directions: Vectors = values / lengths
    return directions


def _lines(path: Path, kind: type[Line]) -> list[Line]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {path}") from error
    return [_line(path, number, line, kind) for number, line in enumerate(lines, 1)]


def _line(path: Path, number: int, line: str, kind: type[Line]) -> Line:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"{path}, line {number}: {first['msg']}") from error
