"""What a peer of split training cannot find by trying seeds; and what a finished training keeps."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")

import torch

from nesa.cli.main import main
from nesa.cli.training import Data, train_with
from nesa.privacy.split.training.client import ClientLayers, Noise, Rows, Schedule, Sent, train
from nesa.privacy.split.training.draws import SecretDraws, draws
from nesa.privacy.split.training.layers import Learning, dense
from nesa.privacy.split.training.part import Post, RemotePart, in_this_process
from nesa.privacy.split.training.peer import TrainingPeer
from nesa.privacy.split.training.wire import Close, decode_request
from nesa.privacy.streams import Stream
from nesa.protocol.errors import Unavailable

pytestmark = [pytest.mark.train, pytest.mark.timeout(120)]

INPUTS, LABELS, WIDTHS = 16, 3, (32, 16)
TRIED = 1 << 10
SECRET = 777
"""The low 32 bits of all that the operating system draws here: the attack tries as far as this."""


@pytest.fixture
def known_low_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system draws what it should, but for 32 bits."""
    bits, octets = secrets.randbits, secrets.token_bytes
    low = SECRET.to_bytes(4, "little")
    monkeypatch.setattr(secrets, "randbits", lambda size: bits(size) >> 32 << 32 | SECRET)
    monkeypatch.setattr(secrets, "token_bytes", lambda size=32: low + octets(size - 8) + low)


def rows(count: int = 96) -> Rows:
    """Three clouds of points."""
    random = np.random.default_rng(3)
    labels = random.integers(0, LABELS, count)
    centres = random.normal(size=(LABELS, INPUTS)) * 2
    features = centres[labels] + random.normal(size=(count, INPUTS))
    return Rows(features.astype(np.float32), labels)


def peer() -> Post:
    return in_this_process(TrainingPeer(WIDTHS, Learning(), lambda: 0.0))


async def first_sent(noise: int | None) -> np.ndarray:
    """The activations of the first step, with noise of one standard deviation."""
    sent: list[Sent] = []
    layers = ClientLayers.dense(INPUTS, LABELS, WIDTHS)
    part = await RemotePart.open(peer(), 7)
    plan = Schedule(1, 32, Learning(), noise=noise)
    await train(layers, part, rows(), plan, Noise(1.0), sent.append)
    return sent[0].activations


def found_by_trying(sent: np.ndarray) -> list[int]:
    """The seeds of torch below TRIED whose noise is what was sent, but for a factor, in a tenth of
    the places or more: there the ReLU gave zero."""
    found = []
    for seed in range(TRIED):
        drawn = torch.randn(sent.shape, generator=torch.Generator().manual_seed(seed)).numpy()
        factors = np.sort((sent / drawn).ravel())
        tenth = len(factors) // 10
        if (np.abs(factors[tenth:] / factors[:-tenth] - 1) < 1e-4).any():
            found.append(seed)
    return found


async def test_the_noise_of_a_seed_is_found_by_trying_its_low_bits():
    """Why a seed is for tests: the attack works, so that it not working below means something."""
    assert found_by_trying(await first_sent(SECRET + (12345 << 32))) == [SECRET]


async def test_secret_noise_is_not(known_low_bits):
    assert found_by_trying(await first_sent(None)) == []


def test_secret_weights_do_not_hang_on_32_bits(known_low_bits):
    before = torch.random.get_rng_state()
    made = [dense((INPUTS, 8, 4), None) for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    tried = dense((INPUTS, 8, 4), SECRET)
    for values in zip(*(each.parameters() for each in (*made, tried)), strict=True):
        assert len({tuple(each.flatten().tolist()) for each in values}) == 3


def test_secret_orders_of_rows_do_not_either(known_low_bits):
    seeded = torch.randperm(64, generator=torch.Generator().manual_seed(SECRET))
    orders = [draws(None).permutation(64) for _ in range(2)]
    assert len({tuple(each.tolist()) for each in (*orders, seeded)}) == 3
    assert all(sorted(each.tolist()) == list(range(64)) for each in orders)


def test_every_bit_of_a_key_changes_every_kind_of_draw():
    key = secrets.randbits(256)
    keys = [(key ^ flip).to_bytes(32, "big") for flip in (0, *(1 << bit for bit in range(256)))]
    for draw in (
        lambda drawn: drawn.normal((2, 4)),
        lambda drawn: drawn.uniform((2, 4), 0.5),
        lambda drawn: drawn.permutation(64),
    ):
        made = {tuple(draw(SecretDraws(Stream(key))).flatten().tolist()) for key in keys}
        assert len(made) == len(keys)


def test_secret_weights_are_spread_as_those_of_torch():
    ours, theirs = (dense((256, 256), seed)[0].requires_grad_(False) for seed in (None, 1))
    for drawn, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert drawn.dtype == wanted.dtype
        assert drawn.shape == wanted.shape
        assert drawn.abs().max() <= 1 / 16
    assert abs(float(ours.weight.std() / theirs.weight.std()) - 1) < 0.02
    assert abs(float(ours.weight.mean())) < 1e-3


def test_secret_noise_is_standard_normal():
    drawn = SecretDraws(Stream(bytes(32))).normal((1000, 100))
    assert drawn.dtype == torch.float32
    assert drawn.shape == (1000, 100)
    assert abs(float(drawn.mean())) < 0.02
    assert abs(float(drawn.std()) - 1) < 0.01


async def test_a_training_survives_a_peer_that_is_gone_at_its_end(caplog):
    """And with all of it secret, it learns."""
    honest = peer()

    async def gone(request: bytes) -> bytes:
        if isinstance(decode_request(request), Close):
            raise Unavailable("the peer did not answer")
        return await honest(request)

    made = await train_with(gone, Data(rows(), rows()), Schedule(10), Noise(), None)
    assert made.accuracy >= 0.9
    assert "was not told that the training is over" in caplog.text


def test_no_training_begins_for_a_folder_that_is_not_there(tmp_path, capsys):
    words = ["privacy", "train-split", "http://127.0.0.1:1", str(tmp_path / "none.npz")]
    words += ["--operator", "0x" + "33" * 20, "--output", str(tmp_path / "none" / "model.onnx")]
    assert main(words) != 0
    assert "there is no folder" in " ".join(capsys.readouterr().err.split())
