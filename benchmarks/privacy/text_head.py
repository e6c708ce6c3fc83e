"""What a peer learns that trains a head for private text: `python -m benchmarks.privacy.text_head`.

Questions of the handbook are sorted by the department that answers them. The client reads them into
embeddings of MiniLM by itself; the head is trained with a peer, in envelopes, and centrally, with
the same seeds. The observer is the peer, which knows a tenth of the texts with their labels and
adds up what it sees of each in all epochs. Needs requirements/train.lock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from eth_keys.datatypes import PrivateKey
from numpy.typing import NDArray

from nesa.cli.training import Data, Trained, train_with
from nesa.privacy.envelopes import Deployment, Receiver
from nesa.privacy.keys import generate_key
from nesa.privacy.split.training.client import (
    ClientLayers,
    Noise,
    Rows,
    Schedule,
    joined,
    predict,
)
from nesa.privacy.split.training.layers import Learning, dense, optimiser
from nesa.privacy.split.training.peer import TrainingPeer
from nesa.privacy.split.training.sealed import TrainingService, Writer, sealing
from nesa.privacy.split.training.wire import Reply, Request
from nesa.protocol.ids import Address
from scripts import minilm, retrieval

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "text-head.md"
TOKENS, WIDTHS, EPOCHS, BATCH, RATE, SEED = 32, (32, 32, 16), 20, 16, 3e-3, 3
MOST: Final = 8
"""So many departments that answer the most questions."""


def main() -> None:
    """Print the page, and write it where `--write` is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    options = parser.parse_args()
    data = questions()
    page = report(data, asyncio.run(trained_split(data)), trained_centrally(data))
    print(page)
    if options.write:
        RESULTS.write_text(page + "\n", encoding="utf-8")


def report(data: Data, made: Trained, central: float) -> str:
    """Both tables in markdown."""
    texts, asked = len(data.train.labels), len(data.test.labels)
    layers = "-".join(map(str, WIDTHS))
    lines = [
        "# A head for private text",
        f"Questions to the handbook, sorted by {data.labels} departments: layers {layers} at the "
        f"peer, one at the client on either side of them, {EPOCHS} epochs on the embeddings of "
        f"{texts} texts, one seed. {platform.system()} {platform.machine()}, torch "
        f"{torch.__version__}, one thread. Written by "
        "`python -m benchmarks.privacy.text_head --write`.",
        f"| of {asked} other questions | sorted rightly |\n|---|--:|\n"
        f"| trained with a peer | {made.accuracy:.1%} |\n"
        f"| trained centrally | {central:.1%} |\n"
        f"| naming their most frequent department | {most_frequent(data.test.labels):.1%} |",
        f"| what the peer does, knowing a tenth of the {texts} texts | recovered | guessing |\n"
        "|---|--:|--:|",
    ]
    found = [
        f"| {one.attack.name} {one.tried} | {one.recovery:.1%} | {one.baseline:.1%} |"
        for one in made.recorder.findings(data.train)
    ]
    return "\n\n".join(lines) + "\n" + "\n".join(found)


def most_frequent(labels: NDArray[np.int64]) -> float:
    """The part of the labels that is the most frequent one."""
    return float(np.bincount(labels).max() / len(labels))


def questions() -> Data:
    """Embeddings of passages and of half of the questions to train on, the other half to test."""
    base = retrieval.load()
    lines = (retrieval.FOLDER / "passages.jsonl").read_text(encoding="utf-8").splitlines()
    department = [json.loads(line)["id"].split("-")[0] for line in lines]
    names, counts = np.unique(department, return_counts=True)
    kept = {name: number for number, name in enumerate(names[np.argsort(-counts)][:MOST])}
    embed = minilm.embedding(minilm.export(minilm.encoder(TOKENS)))
    labels = np.array([kept.get(name, -1) for name in department])
    asked = labels[base.answers]
    known = np.flatnonzero(labels >= 0)
    wanted = np.random.default_rng(SEED).permutation(np.flatnonzero(asked >= 0))
    texts = [base.passages[one] for one in known] + [base.queries[one] for one in wanted]
    numbers = np.concatenate([labels[known], asked[wanted]]).astype(np.int64)
    vectors = np.asarray(embed(texts), np.float32)
    vectors *= np.sqrt(minilm.WIDTH) / np.linalg.norm(vectors, axis=1, keepdims=True)
    tests = np.arange(len(texts)) >= len(known) + len(wanted) // 2
    return Data(
        Rows(vectors[~tests], numbers[~tests]),
        Rows(vectors[tests], numbers[tests]),
    )


def trained_centrally(data: Data) -> float:
    """Accuracy of the same layers, seeds and batches in one place."""
    mine, middle = (
        ClientLayers.dense(minilm.WIDTH, data.labels, WIDTHS, SEED),
        dense(WIDTHS, SEED + 2),
    )
    whole = joined(mine, middle).train()
    steps = optimiser(whole, Learning(RATE))
    rows, labels = map(torch.from_numpy, (data.train.features, data.train.labels))
    order = torch.Generator().manual_seed(SEED)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(rows), generator=order).split(BATCH):
            if len(batch) > 1:
                steps.zero_grad()
                torch.nn.functional.cross_entropy(whole(rows[batch]), labels[batch]).backward()
                steps.step()
    return float((predict(whole.eval(), data.test.features) == data.test.labels).mean())


async def trained_split(data: Data, opened: Callable[[Request], None] | None = None) -> Trained:
    """The same with a peer, in envelopes; `opened` sees each request as the peer reads it."""
    here, key = Deployment(31337, Address("0x" + "11" * 20)), generate_key()
    client, operator = (Writer(here, PrivateKey(bytes(31) + bytes([n])), time.time) for n in (1, 2))
    peer = TrainingPeer(WIDTHS, Learning(RATE), time.monotonic)

    def answer(sender: Address, request: Request) -> Reply:
        if opened is not None:
            opened(request)
        return peer.answer(sender, request)

    async def carry(envelope: bytes) -> bytes:
        return service.answer(envelope)

    service = TrainingService(answer, operator, key, frozenset({client.address}))
    post = sealing(carry, client, Receiver(operator.address, key.public_key()))
    schedule = Schedule(EPOCHS, BATCH, Learning(RATE), order=SEED)
    return await train_with(post, data, schedule, Noise(), SEED)


if __name__ == "__main__":
    main()
