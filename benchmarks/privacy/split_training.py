"""What noise buys and costs in split training: `python -m benchmarks.privacy.split_training`.

A dense classifier is trained by a client and a peer on two data sets that scikit-learn brings
along, and centrally with the same seeds. The observer is the peer, which knows a tenth of the rows
with their labels; it sees one epoch, or adds up what it saw of each row in all of them. Then the
same training runs over HTTP on this machine, in envelopes, for time and bytes. Needs
requirements/train.lock.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import torch
from eth_keys.datatypes import PrivateKey
from numpy.typing import NDArray

from nesa.cli.training import Data, Recorder, Trained, train_with
from nesa.client.split_training.remote import posting
from nesa.client.split_training.serving import serving
from nesa.privacy.battery.findings import Attack, Finding
from nesa.privacy.envelopes import Deployment, Receiver
from nesa.privacy.keys import generate_key
from nesa.privacy.split.training.client import (
    ClientLayers,
    Noise,
    Rows,
    Schedule,
    joined,
    predict,
    train,
)
from nesa.privacy.split.training.layers import Learning, dense, optimiser
from nesa.privacy.split.training.part import RemotePart, in_this_process
from nesa.privacy.split.training.peer import TrainingPeer
from nesa.privacy.split.training.sealed import TrainingService, Writer
from nesa.protocol.ids import Address
from scripts import train_breast_cancer, train_digits
from scripts.training import Data as Held

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "split-training.md"
WIDTHS: Final = (64, 64, 32)
EPOCHS: Final = 30
BATCH: Final = 32
NOISES: Final = (
    Noise(),
    Noise(0.5),
    Noise(1.0),
    Noise(2.0),
    Noise(4.0),
    Noise(1.0, 1.0),
    Noise(2.0, 2.0),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One training: accuracy on test rows and what was recovered from one epoch and from all."""

    accuracy: float
    last: Mapping[tuple[Attack, str], Finding]
    every: Mapping[tuple[Attack, str], Finding]


def main() -> None:
    """Print the page, and write it where `--write` is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=5, help="trainings that a figure is of")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {"digits": train_digits.data(), "breast cancer": train_breast_cancer.data()}
    page = report({name: rows_of(held) for name, held in sets.items()}, options.seeds)
    print(page)
    if options.write:
        RESULTS.write_text(page + "\n", encoding="utf-8")


def report(sets: Mapping[str, Data], seeds: int) -> str:
    """All tables in markdown."""
    head = (
        f"Dense layers {WIDTHS[0]}-{WIDTHS[1]}-{WIDTHS[2]} at the peer, one layer at the client on "
        f"either side; {EPOCHS} epochs in batches of {BATCH}; medians of {seeds} seeds. The peer "
        f"knows a tenth of the rows."
    )
    machine = f"{platform.system()} {platform.machine()}, torch {torch.__version__}, one thread"
    parts = [head, machine]
    for name, data in sets.items():
        parts += [f"### {name}", leakage(data, seeds), cost(data, seeds)]
    return "\n\n".join(parts)


def rows_of(held: Held) -> Data:
    """Training and test rows in the model's units."""
    tests = held.test_features.reshape(len(held.test_features), -1).astype(np.float64)
    offsets = np.array([feature.offset for feature in held.words.features])
    steps = np.array([feature.step for feature in held.words.features])
    scaled = ((tests - offsets) / steps).astype(np.float32)
    flat = held.train.reshape(len(held.train), -1)
    return Data(_rows(flat, held.train_labels), _rows(scaled, held.test_labels))


def _rows(features: NDArray[Any], labels: NDArray[Any]) -> Rows:
    return Rows(features, labels.astype(np.int64))


def leakage(data: Data, seeds: int) -> str:
    """One line for each noise: accuracy, and what the peer recovers."""
    heads = ("noise on activations", "on gradients", "accuracy", "features from activations")
    told = ("labels from activations", "labels from gradients", "distance correlation")
    lines = [_line((*heads, *told)), _line(("---",) * 7)]
    central = median(trained_centrally(data, seed) for seed in range(seeds))
    lines.append(_line(("central training", "", f"{central:.2%}", *("-",) * 4)))
    guess = np.bincount(data.train.labels).max() / len(data.train.labels)
    lines.append(_line(("guessing", "", "", "0%", f"{guess:.0%}", f"{guess:.0%}", "0%")))
    for noise in NOISES:
        runs = [asyncio.run(trained_split(data, noise, seed)) for seed in range(seeds)]
        accuracy = median(run.accuracy for run in runs)
        places = [(Attack.T6, "activations"), (Attack.T5, "activations")]
        places += [(Attack.T5, "gradients"), (Attack.T7, "activations")]
        cells = [_cell(runs, place) for place in places]
        lines.append(
            _line((f"{noise.activations}", f"{noise.gradients}", f"{accuracy:.2%}", *cells))
        )
    caption = "Recovered from the last epoch / from all epochs added up."
    return "\n".join(lines) + "\n\n" + caption


def _cell(runs: Sequence[Run], place: tuple[Attack, str]) -> str:
    last, every = (
        median(found[place].recovery for found in each)
        for each in ([run.last for run in runs], [run.every for run in runs])
    )
    return f"{last:.0%} / {every:.0%}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def trained_centrally(data: Data, seed: int) -> float:
    """Accuracy of the same layers from the same seeds, trained in one place."""
    mine, middle = client_layers(data, seed), dense(WIDTHS, seed + 2)
    whole = joined(mine, middle).train()
    steps, order = optimiser(whole, Learning()), torch.Generator().manual_seed(seed)
    rows, labels = map(torch.from_numpy, (data.train.features, data.train.labels))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(rows), generator=order).split(BATCH):
            if len(batch) > 1:
                steps.zero_grad()
                torch.nn.functional.cross_entropy(whole(rows[batch]), labels[batch]).backward()
                steps.step()
    return accuracy(whole.eval(), data)


def client_layers(data: Data, seed: int) -> ClientLayers:
    """A layer on either side."""
    return ClientLayers.dense(data.train.features.shape[1], data.labels, WIDTHS, seed)


def accuracy(whole: Any, data: Data) -> float:
    """The part of the test rows that is answered rightly."""
    return float((predict(whole, data.test.features) == data.test.labels).mean())


async def trained_split(data: Data, noise: Noise, seed: int) -> Run:
    """The same with a peer."""
    peer = TrainingPeer(WIDTHS, Learning(), time.monotonic)
    part = await RemotePart.open(in_this_process(peer), seed + 2)
    layers, rows = client_layers(data, seed), data.train
    last, every = Recorder(len(rows.labels), EPOCHS - 1), Recorder(len(rows.labels))

    def watch(sent: Any) -> None:
        last.watch(sent)
        every.watch(sent)

    await train(layers, part, rows, schedule(seed), noise, watch)
    right = accuracy(joined(layers, await part.layers()), data)
    return Run(right, by_place(last.findings(rows)), by_place(every.findings(rows)))


def schedule(seed: int) -> Schedule:
    """Equal for all trainings of a seed."""
    return Schedule(EPOCHS, BATCH, Learning(), order=seed, noise=seed)


def by_place(found: Sequence[Finding]) -> dict[tuple[Attack, str], Finding]:
    """Findings by attack and by what was looked at."""
    return {(one.attack, one.tried.split(":")[0].split(" ")[0]): one for one in found}


def cost(data: Data, seeds: int) -> str:
    """Seconds in one place and with a peer on this machine, and what crosses."""
    alone = median(_seconds(partial(trained_centrally, data, seed)) for seed in range(seeds))
    runs = [asyncio.run(trained_in_envelopes(data, seed)) for seed in range(seeds)]
    apart = median(run.seconds for run in runs)
    sent = median(run.recorder.sent_bytes for run in runs) / EPOCHS
    lines = [_line(("training", "seconds", "leaves the client in an epoch")), _line(("---",) * 3)]
    lines.append(_line(("in one place", f"{alone:.1f}", "-")))
    lines.append(_line(("with a peer, loopback", f"{apart:.1f}", f"{sent / 1e3:,.0f} kB")))
    return "\n".join(lines)


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def trained_in_envelopes(data: Data, seed: int) -> Trained:
    """A training over HTTP on this machine, in envelopes."""
    here, key = Deployment(31337, Address("0x" + "11" * 20)), generate_key()
    client, operator = (Writer(here, PrivateKey(bytes([1 + n] * 32)), time.time) for n in (0, 1))
    peer = TrainingPeer(WIDTHS, Learning(), time.monotonic)
    service = TrainingService(peer.answer, operator, key, frozenset({client.address}))
    async with (
        serving(service.answer, "127.0.0.1", 0) as url,
        posting(url, client, Receiver(operator.address, key.public_key())) as post,
    ):
        return await train_with(post, data, schedule(seed), Noise(), seed)


if __name__ == "__main__":
    main()
