"""Measures a compiled model against its test rows, which is what its card states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import load_model_from_string

from nesa.models.card import Accuracy, AnyCard, ClassifierCard, Fidelity, TensorCard
from nesa.models.compile import Compiled
from nesa.models.description import ClassifierWords, Description, TensorWords
from nesa.models.graph import Integers, Part, Shard, Table
from nesa.models.index import word
from nesa.models.lowering import part_model
from nesa.models.quantise import Floats
from nesa.models.runtime import ShardRunner
from nesa.models.samples import LabelledRows
from nesa.models.simplifying.inputs import with_one_input
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError, InvalidModel
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts

DIGITS: Final = 6
"""Decimals of a fidelity: sums of floats differ behind them from machine to machine."""

NOT_MEASURED: Final = {
    "accuracy": {"test_rows": 0, "float_model": 0.0, "integer_model": 0.0},
    "fidelity": {"test_rows": 0, "mean_cosine": 0.0, "lowest_cosine": 0.0, "relative_error": 0.0},
}


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationRows:
    """Test rows in people's units [n, ..], and for a classifier the number of the right label."""

    features: NDArray[np.generic]
    labels: NDArray[np.generic] | None


def measure(
    onnx: bytes, compiled: Compiled, table: Table, words: Description, data: EvaluationRows
) -> tuple[AnyCard, LabelledRows]:
    """The card of a table that was compiled from the float model `onnx`, and its test rows.

    `table` is that of `compiled`, cut or not. A classifier is measured by its labels, any other
    model by the float model's tensors, which become the labels of its test rows.

    Raises:
        InvalidModel: a classifier's test rows have no labels, or not one each.
        InvalidTensor: a test row is none of the model.
    """
    card = unmeasured(compiled, words)
    inputs = quantised(card, data.features)
    answers = integer_outputs(table, inputs)
    real = float_outputs(onnx, words, data.features)
    match card:
        case ClassifierCard():
            rows = LabelledRows(inputs, _labels(data), data.features)
            return card.model_copy(update={"accuracy": accuracy(answers, real, rows)}), rows
        case TensorCard():
            rows = LabelledRows(inputs, np.stack(real).astype(np.float32), data.features)
            return card.model_copy(update={"fidelity": fidelity(card, answers, rows)}), rows


def _labels(data: EvaluationRows) -> NDArray[np.generic]:
    if data.labels is None or len(data.labels) != len(data.features):
        raise InvalidModel("a classifier is measured by test rows with one label each")
    return data.labels.astype(np.min_scalar_type(int(data.labels.max())))


def unmeasured(compiled: Compiled, words: Description) -> ClassifierCard | TensorCard:
    """The card, its figures still to be measured."""
    table, scale = compiled.table, compiled.input_scaling.scale
    facts = {
        **words.model_dump(),
        "features": [
            feature.model_dump() | {"step": feature.step * scale} for feature in words.features
        ],
        "input_type": word(table.inputs[0].pack()),
        "output_type": word(table.type_of(table.outputs[0]).pack()),
        "output_scale": compiled.output_scale,
    }
    match words:
        case ClassifierWords():
            facts["accuracy"] = NOT_MEASURED["accuracy"]
            return ClassifierCard.model_validate(facts, strict=False)
        case TensorWords():
            facts["fidelity"] = NOT_MEASURED["fidelity"]
            return TensorCard.model_validate(facts, strict=False)


def quantised(card: AnyCard, features: NDArray[np.generic]) -> NDArray[np.generic]:
    """Test rows as the model takes them, [n, ..] in the dtype of the input."""
    rows = [card.quantise_input(np.asarray(row).reshape(-1)) for row in features]
    whole: NDArray[np.generic] = np.stack(rows).astype(card.input_edge.dtype.numpy)
    return whole


def integer_outputs(table: Table, inputs: NDArray[np.generic]) -> list[Integers]:
    """What ONNX Runtime computes of each row with the whole table."""
    whole = replace(table, cuts=())
    runner, edges = shard_runner(whole, whole.shards[0]), table.types_of(table.outputs)
    answers = [runner.run((table.inputs[0].encode(row),))[0] for row in inputs]
    return [edges[0].decode(answer).astype(np.int64) for answer in answers]


def shard_runner(table: Table, shard: Shard) -> ShardRunner:
    """A run of rows, compiled here and ready."""
    return part_runner(table, shard.part)


def part_runner(table: Table, part: Part) -> ShardRunner:
    """Rows that need not follow each other, compiled here and ready; see `part_model`."""
    data = part_model(table, part)
    edges = (table.types_of(part.inputs), table.types_of(part.outputs))
    facts = ShardFacts(*edges, bytes_root(data), ZERO_DIGEST, ZERO_DIGEST)
    return ShardRunner(data, facts, is_own=True)


def float_outputs(
    onnx: bytes, words: Description, features: NDArray[np.generic]
) -> list[NDArray[Any]]:
    """What the float model answers to rows in people's units; open sizes of its input are 1.

    Inputs that follow from token ids are derived from them, as the compiler does.
    """
    tokens = words.tokens if isinstance(words, TensorWords) else None
    padding = None if tokens is None else tokens.padding
    whole = with_one_input(load_model_from_string(onnx), padding).SerializeToString()
    session = onnxruntime.InferenceSession(whole, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in source.shape]
    offsets = np.array([feature.offset for feature in words.features])
    steps = np.array([feature.step for feature in words.features])
    rows = (features.reshape(len(features), -1).astype(np.float64) - offsets) / steps
    kind = np.int64 if source.type == "tensor(int64)" else np.float32
    return [session.run(None, {source.name: row.reshape(shape).astype(kind)})[0] for row in rows]


def named(answers: Sequence[NDArray[Any]]) -> Integers:
    """The number that each answer names: its only value, or the place of the largest."""
    flat = [np.asarray(answer).reshape(-1) for answer in answers]
    return np.array([int(one[0]) if one.size == 1 else int(one.argmax()) for one in flat])


def accuracy(
    answers: Sequence[Integers], real: Sequence[NDArray[Any]], rows: LabelledRows
) -> Accuracy:
    """Which part of the rows each model answers as they are labelled."""
    return Accuracy(
        test_rows=len(rows.labels),
        float_model=share(named(real), rows.labels),
        integer_model=share(named(answers), rows.labels),
    )


def share(guesses: Integers, labels: NDArray[np.generic]) -> float:
    """Which part of the labels was met."""
    return float((guesses == labels).mean())


def fidelity(card: TensorCard, answers: Sequence[Integers], rows: LabelledRows) -> Fidelity:
    """How near the answers come to the float model's tensors, which are the rows' labels."""
    count = len(rows.labels)
    whole = np.stack([answer.reshape(-1) for answer in answers]) * card.output_scale
    real = rows.labels.reshape(count, -1).astype(np.float64)
    cosines = (whole * real).sum(axis=1) / np.maximum(_lengths(whole) * _lengths(real), 1e-300)
    error = _lengths((whole - real).reshape(1, -1))[0] / _lengths(real.reshape(1, -1))[0]
    return Fidelity(
        test_rows=count,
        mean_cosine=_rounded(cosines.mean()),
        lowest_cosine=_rounded(cosines.min()),
        relative_error=round(float(error), DIGITS),
    )


def check_measured(card: AnyCard, answers: Sequence[Integers], rows: LabelledRows) -> None:
    """Compare what a card states with what this machine's answers give.

    Raises:
        IntegrityError: the card states something else.
    """
    match card:
        case ClassifierCard(accuracy=stated):
            found = share(named(answers), rows.labels)
            if (stated.test_rows, stated.integer_model) != (len(rows.labels), found):
                raise IntegrityError(
                    f"the card states an accuracy of {stated.integer_model:.4f} on "
                    f"{stated.test_rows} rows, here are {found:.4f} on {len(rows.labels)}"
                )
        case TensorCard(fidelity=nearness):
            again = fidelity(card, answers, rows)
            if not np.allclose(_numbers(again), _numbers(nearness), rtol=0, atol=2e-6):
                raise IntegrityError(f"the card states {nearness}, here is {again}")


def _numbers(one: Fidelity) -> Floats:
    return np.array([one.test_rows, one.mean_cosine, one.lowest_cosine, one.relative_error])


def _lengths(rows: Floats) -> Floats:
    found: Floats = np.sqrt((rows**2).sum(axis=1))
    return found


def _rounded(cosine: np.floating[Any]) -> float:
    return round(min(1.0, max(-1.0, float(cosine))), DIGITS)
