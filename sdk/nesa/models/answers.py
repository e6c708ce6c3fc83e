"""Known answers: inputs of a shard and the digests that must come out on every machine."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError

from nesa.models.card import Part
from nesa.models.index import Word, unword
from nesa.models.runtime import KnownAnswer
from nesa.protocol.errors import InvalidModel
from nesa.protocol.ids import Digest


class _Answer(Part):
    inputs: tuple[str, ...]
    output_digest: Word


class _Answers(Part):
    answers: Annotated[tuple[_Answer, ...], Field(min_length=1)]


def answers_path(shard: int) -> str:
    """Path of a shard's known answers inside a model's folder."""
    return f"known_answers/{shard}.json"


def read_answers(data: bytes, shard: int) -> tuple[KnownAnswer, ...]:
    """The known answers of a shard in the bytes of its file; at least one.

    Raises:
        InvalidModel: the bytes are something else.
    """
    try:
        answers = _Answers.model_validate_json(data).answers
        return tuple(_known_answer(answer) for answer in answers)
    except (ValidationError, ValueError) as error:
        raise InvalidModel(f"{answers_path(shard)} holds no answers of shard {shard}") from error


def _known_answer(answer: _Answer) -> KnownAnswer:
    inputs = tuple(bytes.fromhex(tensor) for tensor in answer.inputs)
    return KnownAnswer(inputs, Digest(unword(answer.output_digest)))
