"""What the training scripts share: train with fixed seeds, compile, measure, write the folder."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nesa.models.compile import compile_model
from nesa.models.cut import cut
from nesa.models.description import ClassifierWords
from nesa.models.folder import CompiledModel, assemble, save
from nesa.models.index import word
from nesa.models.measuring import EvaluationRows, measure
from nesa.models.quantise import Scaling

SHARDS = 2


@dataclass(frozen=True, slots=True)
class Training:
    """How to train; equal settings on one machine give equal weights."""

    seed: int
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    shards: int = SHARDS


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows to train on in the model's own units, and test rows in those of people.

    The features in `words` say how the ones become the others: `(value - offset) / step`.
    """

    train: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_features: NDArray[np.generic]
    test_labels: NDArray[np.int64]
    words: ClassifierWords
    input_scaling: Scaling | None = None

    @property
    def test(self) -> EvaluationRows:
        """What a trained model is measured by."""
        return EvaluationRows(self.test_features, self.test_labels)


def train_and_save(
    network: Callable[[], nn.Module], data: Data, training: Training, path: Path
) -> str:
    """Trains, compiles, measures, writes `path`, and says in one line what came out.

    The new shards have no circuits until `scripts/build_circuits.py` has made them.
    """
    model = build(network, data, training)
    save(model, path)
    accuracy = model.classifier.accuracy
    return (
        f"{model.name}: float {accuracy.float_model:.4f}, integer {accuracy.integer_model:.4f} "
        f"on {accuracy.test_rows} rows, {len(model.shards)} shards, root {word(model.root)}"
    )


def build(network: Callable[[], nn.Module], data: Data, training: Training) -> CompiledModel:
    """The trained, compiled and measured model."""
    onnx = export(train(network, data, training), data)
    compiled = compile_model(onnx, data.train, input_scaling=data.input_scaling)
    table = cut(compiled.table, training.shards)
    card, rows = measure(onnx, compiled, table, data.words, data.test)
    return assemble(table, card, rows)


def write_float_model(model: nn.Module, data: Data, folder: Path) -> None:
    """Writes `model.onnx`, `data.npz` and `words.json` as `nesa model compile` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(export(model, data))
    rows = {"features": data.test_features, "labels": data.test_labels}
    np.savez_compressed(folder / "data.npz", calibration=data.train, **rows)
    words = data.words.model_dump_json(indent=1)
    (folder / "words.json").write_text(words + "\n", encoding="utf-8")


def train(network: Callable[[], nn.Module], data: Data, training: Training) -> nn.Module:
    """The network after training with AdamW and a falling learning rate."""
    torch.manual_seed(training.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    model = network()
    rows, labels = (
        torch.from_numpy(data.train),
        torch.from_numpy(data.train_labels.astype(np.int64)),
    )
    optimiser = torch.optim.AdamW(
        model.parameters(), training.learning_rate, weight_decay=training.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, training.epochs)
    for _ in range(training.epochs):
        for batch in torch.randperm(len(rows)).split(training.batch):
            loss = nn.functional.cross_entropy(model(rows[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            optimiser.step()
        schedule.step()
    return model.eval()


def export(model: nn.Module, data: Data) -> bytes:
    """The network as ONNX with batch 1; normalisations stay nodes, which the compiler folds."""
    buffer = io.BytesIO()
    arguments: dict[str, Any] = {"opset_version": 17, "dynamo": False}
    arguments["training"] = torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.from_numpy(data.train[:1]),), buffer, **arguments)
    return buffer.getvalue()
