"""From a float model, data and words to a compiled model; what `nesa model compile` does."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from nesa.models.card import Accuracy, Feature, ModelCard, Part
from nesa.models.compile import Compiled, compile_model
from nesa.models.cut import cut
from nesa.models.folder import CompiledModel, assemble
from nesa.models.graph import Table
from nesa.models.index import word
from nesa.models.reference import run
from nesa.models.report import LayerReport
from nesa.models.samples import LabelledRows
from nesa.protocol.errors import InvalidConfiguration, InvalidInput, InvalidModel

Rows = NDArray[np.generic]


class Description(Part):
    """What a model card says in words. A feature's number goes into the float model as
    `(value - offset) / step`."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,63}$")
    title: str
    description: str
    data: str
    licence: str
    labels: tuple[str, ...]
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Calibration rows in the float model's units; test rows in those of people, with labels."""

    calibration: NDArray[np.float64]
    features: Rows
    labels: Rows


def read_description(path: Path) -> Description:
    """The description in a JSON file.

    Raises:
        InvalidInput: no such file, or a field missing or wrong.
    """
    try:
        return Description.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read the description {path}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInput(f"{path}: {place}: {first['msg']}") from error


def read_data(path: Path) -> Data:
    """The arrays `calibration`, `features` and `labels` of an npz file.

    Raises:
        InvalidInput: no such file, or an array is missing.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Data(
                arrays["calibration"].astype(np.float64), arrays["features"], arrays["labels"]
            )
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(
            f"{path} must be an npz file with the arrays calibration, features and labels"
        ) from error


def compile_from_files(
    onnx: bytes, data: Data, words: Description, shards: int, epochs: int = 0
) -> tuple[CompiledModel, tuple[LayerReport, ...]]:
    """The compiled and measured model, and how each layer came out; no shard has a circuit yet.

    With `epochs` the weights are fine-tuned first; the accuracy of the float model on the card is
    that of the file as it was given.

    Raises:
        InvalidModel: a node that cannot be compiled or fine-tuned, or no places to cut at.
        InvalidConfiguration: torch is needed and not installed.
    """
    tuned = fine_tuned(onnx, data, epochs) if epochs else onnx
    compiled = compile_model(tuned, data.calibration)
    table = cut(compiled.table, shards)
    card = _card(compiled, words)
    rows = _quantised(card, data)
    accuracy = Accuracy(
        test_rows=len(data.labels),
        float_model=_float_accuracy(onnx, words, data),
        integer_model=integer_accuracy(table, rows),
    )
    model = assemble(table, card.model_copy(update={"accuracy": accuracy}), rows)
    return model, compiled.layers


def fine_tuned(onnx: bytes, data: Data, epochs: int) -> bytes:
    """The float model after so many passes over the calibration rows.

    Raises:
        InvalidModel: a node that cannot be fine-tuned, or rows that do not fit.
        InvalidConfiguration: torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise InvalidConfiguration("fine-tuning needs torch: install it, or leave --fine-tune out")
    from nesa.models.fine_tuning.tuning import Schedule, fine_tune

    return fine_tune(onnx, data.calibration, Schedule(epochs)).onnx


def recut(model: CompiledModel, shards: int) -> CompiledModel:
    """The same table cut into another number of shards, without circuits.

    Raises:
        InvalidModel: there are not enough places to cut at.
    """
    card = model.card.model_copy(update={"reference_string": ""})
    return assemble(cut(model.table, shards), card, model.test_rows())


def integer_accuracy(table: Table, rows: LabelledRows) -> float:
    """Share of test rows that the operator table gets right."""
    edge, output = table.inputs[0], table.type_of(table.outputs[0])
    answers = [run(table, (edge.encode(row),))[0] for row in rows.inputs]
    guesses = [output.decode(answer).reshape(-1) for answer in answers]
    named = [int(g[0]) if g.size == 1 else int(g.argmax()) for g in guesses]
    return float((np.array(named) == rows.labels).mean())


def _card(compiled: Compiled, words: Description) -> ModelCard:
    table, scale = compiled.table, compiled.input_scaling.scale
    features = tuple(
        feature.model_copy(update={"step": feature.step * scale}) for feature in words.features
    )
    return ModelCard(
        **words.model_dump(exclude={"features"}),
        task="classification",
        features=features,
        input_type=word(table.inputs[0].pack()),
        output_type=word(table.type_of(table.outputs[0]).pack()),
        output_scale=compiled.output_scale,
        accuracy=Accuracy(test_rows=0, float_model=0.0, integer_model=0.0),
    )


def _quantised(card: ModelCard, data: Data) -> LabelledRows:
    edge = card.input_edge
    inputs = np.stack([card.quantise_input(row.reshape(edge.shape)) for row in data.features])
    features = data.features.astype(np.float64)
    return LabelledRows(inputs.astype(edge.dtype.numpy), data.labels.astype(np.uint8), features)


def _float_accuracy(onnx: bytes, words: Description, data: Data) -> float:
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in source.shape]
    offsets = np.array([feature.offset for feature in words.features])
    steps = np.array([feature.step for feature in words.features])
    flat = data.features.reshape(len(data.features), -1).astype(np.float64)
    rows = ((flat - offsets) / steps).astype(np.float32)
    answers = [session.run(None, {source.name: row.reshape(shape)})[0] for row in rows]
    return float((np.array([_named(answer) for answer in answers]) == data.labels).mean())


def _named(answer: Any) -> int:
    flat = np.asarray(answer).reshape(-1)
    return int(flat[0]) if flat.size == 1 else int(flat.argmax())


def read_model_file(path: Path) -> bytes:
    """A float model.

    Raises:
        InvalidModel: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidModel(f"cannot read {path}: {error.strerror}") from error
