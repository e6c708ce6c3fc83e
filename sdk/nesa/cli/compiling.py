"""From a float model, data and words to a compiled model; what `nesa model compile` does."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nesa.cli.cutting import recut_at
from nesa.models.compile import PERCENTILE, compile_model
from nesa.models.description import Description, TensorWords
from nesa.models.folder import CompiledModel, assemble
from nesa.models.measuring import EvaluationRows, measure
from nesa.models.placement.even import even_cut
from nesa.models.report import LayerReport
from nesa.protocol.errors import InvalidConfiguration, InvalidInput, InvalidModel


@dataclass(frozen=True, slots=True)
class Plan:
    """How to compile: into so many shards, after so many passes of fine-tuning; `percentile` of
    the magnitudes of a tensor fills its range."""

    shards: int = 1
    epochs: int = 0
    percentile: float = PERCENTILE


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Calibration rows [n, ..] in the float model's units, and what the model is measured by."""

    calibration: NDArray[np.float64]
    test: EvaluationRows


def read_data(path: Path) -> Data:
    """The arrays `calibration`, `features` and, where there are any, `labels` of an npz file.

    Raises:
        InvalidInput: no such file, or an array is missing.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            test = EvaluationRows(arrays["features"], arrays.get("labels"))
            return Data(arrays["calibration"].astype(np.float64), test)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(
            f"{path} must be an npz file with the arrays calibration and features, and labels for "
            "a classifier"
        ) from error


def compile_from_files(
    onnx: bytes, data: Data, words: Description, plan: Plan
) -> tuple[CompiledModel, tuple[LayerReport, ...]]:
    """The compiled and measured model, and how each layer came out; no shard has a circuit yet.

    What the card says of the float model is measured on the file as it was given, also where the
    weights are fine-tuned first.

    Raises:
        InvalidModel: a node that cannot be compiled or fine-tuned, or no places to cut at.
        InvalidConfiguration: torch is needed and not installed.
    """
    tuned = fine_tuned(onnx, data, plan.epochs) if plan.epochs else onnx
    tokens = words.tokens if isinstance(words, TensorWords) else None
    compiled = compile_model(
        tuned,
        data.calibration,
        percentile=plan.percentile,
        padding=None if tokens is None else tokens.padding,
    )
    table = even_cut(compiled.table, plan.shards)
    card, rows = measure(onnx, compiled, table, words, data.test)
    return assemble(table, card, rows), compiled.layers


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
    return recut_at(model, even_cut(model.table, shards).cuts)


def read_model_file(path: Path) -> bytes:
    """A float model.

    Raises:
        InvalidModel: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidModel(f"cannot read {path}: {error.strerror}") from error
