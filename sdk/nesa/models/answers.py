"""Known answers: inputs of every shard and the digests that must come out on every machine."""

from __future__ import annotations

from pydantic import ValidationError

from nesa.models.card import Part
from nesa.models.index import Word, unword
from nesa.models.runtime import KnownAnswer
from nesa.protocol.errors import InvalidModel
from nesa.protocol.ids import Digest


class _Answer(Part):
    inputs: tuple[str, ...]
    output_digest: Word


class _Answers(Part):
    shards: tuple[tuple[_Answer, ...], ...]


def read_answers(data: bytes, shard: int) -> tuple[KnownAnswer, ...]:
    """The known answers of a shard in the bytes of `known_answers.json`; at least one.

    Raises:
        InvalidModel: the bytes are something else, or have nothing for this shard.
    """
    try:
        answers = _Answers.model_validate_json(data).shards[shard]
        found = tuple(_known_answer(answer) for answer in answers)
    except (ValidationError, IndexError, ValueError) as error:
        raise InvalidModel(f"known_answers.json holds no answers of shard {shard}") from error
    if not found:
        raise InvalidModel(f"known_answers.json holds no answers of shard {shard}")
    return found


def _known_answer(answer: _Answer) -> KnownAnswer:
    inputs = tuple(bytes.fromhex(tensor) for tensor in answer.inputs)
    return KnownAnswer(inputs, Digest(unword(answer.output_digest)))
