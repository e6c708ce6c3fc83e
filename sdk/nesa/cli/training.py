"""Trains a model with a peer; what `nesa privacy train-split` and `serve-split` do."""

from __future__ import annotations

import asyncio
import io
import logging
import secrets
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from nesa.client.client import Client
from nesa.client.split_training.serving import serving
from nesa.privacy.battery.findings import Finding
from nesa.privacy.battery.training import Observed, audit_training
from nesa.privacy.split.training.client import (
    ClientLayers,
    Noise,
    Rows,
    Schedule,
    Sent,
    joined,
    predict,
    train,
)
from nesa.privacy.split.training.layers import require_torch
from nesa.privacy.split.training.part import Post, RemotePart
from nesa.privacy.split.training.peer import TrainingPeer
from nesa.privacy.split.training.wire import Floats
from nesa.protocol.errors import InvalidConfiguration, InvalidInput, NesaError
from nesa.protocol.ids import Address

logger = logging.getLogger(__name__)

KNOWN: Final = 0.1
"""The part of the rows that the audit's observer knows."""
OPSET: Final = 17


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows to train on, and rows that say how good the model became; labels are numbered."""

    train: Rows
    test: Rows

    @property
    def labels(self) -> int:
        """How many there are."""
        return int(max(self.train.labels.max(), self.test.labels.max())) + 1


def read_data(path: Path) -> Data:
    """The arrays `train`, `train_labels`, `test` and `test_labels` of an npz file.

    Raises:
        InvalidInput: an array is missing, or they do not fit each other.
        InvalidConfiguration: the file cannot be read.
    """
    names = ("train", "train_labels", "test", "test_labels")
    try:
        with np.load(path, allow_pickle=False) as held:
            missing = [name for name in names if name not in held]
            if missing:
                raise InvalidInput(f"{path} has no array {missing[0]}; it needs {', '.join(names)}")
            train, train_labels, test, test_labels = (held[name] for name in names)
    except InvalidInput:
        raise
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(f"{path} is no npz file of arrays: {error}") from error
    if train.shape[1:] != test.shape[1:]:
        raise InvalidInput("rows of train and test have different shapes")
    return Data(_rows(train, train_labels), _rows(test, test_labels))


def _rows(features: NDArray[Any], labels: NDArray[Any]) -> Rows:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InvalidInput("labels are a list of whole numbers")
    flat = features.reshape(len(features), -1).astype(np.float32)
    return Rows(flat, labels.astype(np.int64))


@dataclass(slots=True)
class Recorder:
    """Adds up what leaves for each of `rows` rows from epoch `since` on, as an observer would that
    knows which rows are the same: of noise little is left in a sum."""

    rows: int
    since: int = 0
    activations: Floats | None = None
    gradients: Floats | None = None
    sent_bytes: int = field(default=0)

    def watch(self, sent: Sent) -> None:
        """See what left in one step."""
        self.sent_bytes += sent.activations.nbytes + sent.gradients.nbytes
        if self.activations is None or self.gradients is None:
            self.activations = np.zeros((self.rows, sent.activations.shape[1]), np.float32)
            self.gradients = np.zeros((self.rows, sent.gradients.shape[1]), np.float32)
        if sent.epoch >= self.since:
            self.activations[sent.numbers] += sent.activations
            self.gradients[sent.numbers] += sent.gradients

    def findings(self, rows: Rows) -> tuple[Finding, ...]:
        """What the peer could have recovered, knowing KNOWN of the rows."""
        if self.activations is None or self.gradients is None:
            raise InvalidInput("nothing left yet")
        # Whose rows are known is drawn: data that stand in order of their labels would have an
        # observer know one label only.
        drawn = np.random.default_rng(len(rows.labels)).permutation(len(rows.labels))
        sent = self.activations[drawn], self.gradients[drawn]
        seen = Observed(rows.features[drawn], rows.labels[drawn], *sent)
        return audit_training(seen, max(8, int(KNOWN * len(rows.labels))))


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A whole model, how many test rows it answers rightly, and what left for it."""

    model: Any
    accuracy: float
    recorder: Recorder
    seconds: float


async def train_with(
    post: Post, data: Data, schedule: Schedule, noise: Noise, seed: int | None
) -> Trained:
    """Train the client's two layers with the peer behind `post`.

    `seed` is that of the client's layers, the peer's are drawn from the next number; None takes
    secret ones. A peer that is gone once it has handed over its layers costs nothing.

    Raises:
        InvalidInput: something came back that is NaN or of another shape, or was refused.
        Unavailable: the peer did not answer.
        InvalidConfiguration: torch is not installed.
    """
    _use_one_thread()
    began, rows = time.monotonic(), data.train
    recorder = Recorder(len(rows.labels))
    part = await RemotePart.open(post, peer_seed(seed))
    layers = ClientLayers.dense(rows.features.shape[1], data.labels, part.widths, seed)
    await train(layers, part, rows, schedule, noise, recorder.watch)
    whole = joined(layers, await part.layers())
    await _forgotten(part)
    right = predict(whole, data.test.features) == data.test.labels
    return Trained(whole, float(right.mean()), recorder, time.monotonic() - began)


async def _forgotten(part: RemotePart) -> None:
    """Have the peer forget a training that is over; what it does not hear it forgets when idle."""
    try:
        await part.close()
    except NesaError as error:
        logger.warning("the peer was not told that the training is over: %s", error)


def peer_seed(seed: int | None) -> int:
    """That of the peer's layers; it says nothing about the client's where that is secret."""
    return secrets.randbits(63) if seed is None else seed + 2


def write_model(model: Any, width: int, path: Path) -> None:
    """The whole model as ONNX for rows [1, width], as `nesa model compile` takes it."""
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: dict[str, Any] = {"opset_version": OPSET, "dynamo": False}
        torch.onnx.export(model, (torch.zeros(1, width),), buffer, **options)
    path.write_bytes(buffer.getvalue())


async def serve(
    client: Client,
    peer: TrainingPeer,
    encryption: X25519PrivateKey,
    clients: Iterable[Address],
    address: tuple[str, int],
    told: Callable[[str, Address], None],
) -> None:
    """Serve a training peer under an operator's keys until it is cancelled; `told` its URL and the
    operator.

    Raises:
        InvalidConfiguration: the keys are not an operator's, or the address cannot be bound.
    """
    _use_one_thread()
    operator, service = await client.training_service(peer.answer, encryption, clients)
    async with serving(service.answer, *address) as url:
        told(url, operator)
        await asyncio.Event().wait()


def _use_one_thread() -> None:
    """More threads would wait for each other: a step of such layers takes less than to wake one."""
    require_torch()
    import torch

    torch.set_num_threads(1)
