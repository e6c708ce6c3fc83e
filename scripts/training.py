"""What the training scripts share: train with fixed seeds, compile, measure, write the folder."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nesa.models.card import Accuracy, Feature, ModelCard
from nesa.models.compile import Compiled, compile_model
from nesa.models.cut import cut
from nesa.models.folder import CompiledModel, LabelledRows, assemble, save
from nesa.models.index import word
from nesa.models.quantise import Scaling
from nesa.models.reference import run

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

    `features` say how the ones become the others: `(value - offset) / step`.
    """

    train: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_features: NDArray[np.generic]
    test_labels: NDArray[np.int64]
    features: tuple[Feature, ...]
    input_scaling: Scaling | None = None

    @property
    def test(self) -> NDArray[np.float32]:
        """Test rows in the model's own units."""
        flat = self.test_features.astype(np.float64).reshape(len(self.test_features), -1)
        offsets = np.array([feature.offset for feature in self.features])
        steps = np.array([feature.step for feature in self.features])
        rows: NDArray[np.float64] = (flat - offsets) / steps
        return rows.reshape(self.test_features.shape).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the model card says in words."""

    name: str
    title: str
    description: str
    data: str
    licence: str
    labels: tuple[str, ...]


def train_and_save(
    network: Callable[[], nn.Module], data: Data, subject: Subject, training: Training, path: Path
) -> str:
    """Trains, compiles, measures, writes `path`, and says in one line what came out.

    The new shards have no circuits until `scripts/build_circuits.py` has made them.
    """
    model = build(network, data, subject, training)
    save(model, path)
    accuracy = model.card.accuracy
    return (
        f"{subject.name}: float {accuracy.float_model:.4f}, integer {accuracy.integer_model:.4f} "
        f"on {accuracy.test_rows} rows, {len(model.shards)} shards, root {word(model.root)}"
    )


def build(
    network: Callable[[], nn.Module], data: Data, subject: Subject, training: Training
) -> CompiledModel:
    """The trained, compiled and measured model."""
    trained = train(network, data, training)
    compiled = compile_model(export(trained, data), data.train, input_scaling=data.input_scaling)
    table = cut(compiled.table, training.shards)
    compiled = replace(compiled, table=table)
    card = _card(compiled, data, subject)
    rows = _rows(card, data)
    measured = Accuracy(
        test_rows=len(data.test_labels),
        float_model=float_accuracy(trained, data),
        integer_model=integer_accuracy(compiled, rows),
    )
    return assemble(table, card.model_copy(update={"accuracy": measured}), rows)


def write_float_model(model: nn.Module, data: Data, subject: Subject, folder: Path) -> None:
    """Writes `model.onnx`, `data.npz` and `words.json` as `nesa model compile` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(export(model, data))
    rows = {"features": data.test_features, "labels": data.test_labels}
    np.savez_compressed(folder / "data.npz", calibration=data.train, **rows)
    features = [feature.model_dump() for feature in data.features]
    words = json.dumps({**asdict(subject), "features": features}, indent=1)
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


def float_accuracy(model: nn.Module, data: Data) -> float:
    """Share of test rows that the float network gets right."""
    with torch.no_grad():
        guesses = model(torch.from_numpy(data.test)).argmax(dim=1).numpy()
    return float((guesses == data.test_labels).mean())


def integer_accuracy(compiled: Compiled, rows: LabelledRows) -> float:
    """Share of test rows that the operator table gets right."""
    table = compiled.table
    edge, output = table.inputs[0], table.type_of(table.outputs[0])
    answers = [run(table, (edge.encode(row),))[0] for row in rows.inputs]
    guesses = [int(output.decode(answer).reshape(-1).argmax()) for answer in answers]
    return float((np.array(guesses) == rows.labels).mean())


def _card(compiled: Compiled, data: Data, subject: Subject) -> ModelCard:
    """The card, its accuracies still to be measured."""
    table, scale = compiled.table, compiled.input_scaling.scale
    features = tuple(
        feature.model_copy(update={"step": feature.step * scale}) for feature in data.features
    )
    return ModelCard(
        name=subject.name,
        title=subject.title,
        task="classification",
        description=subject.description,
        data=subject.data,
        licence=subject.licence,
        labels=subject.labels,
        features=features,
        input_type=word(table.inputs[0].pack()),
        output_type=word(table.type_of(table.outputs[0]).pack()),
        output_scale=compiled.output_scale,
        accuracy=Accuracy(test_rows=0, float_model=0.0, integer_model=0.0),
    )


def _rows(card: ModelCard, data: Data) -> LabelledRows:
    edge = card.input_edge
    inputs = np.stack([card.quantise_input(row.reshape(edge.shape)) for row in data.test_features])
    return LabelledRows(
        inputs.astype(edge.dtype.numpy),
        data.test_labels.astype(np.uint8),
        data.test_features,
    )
