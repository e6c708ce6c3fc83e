"""Split training is central training: bit for bit, with real peers, and with liars refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("sklearn", reason="needs requirements/train.lock")

import torch
from eth_keys.datatypes import PrivateKey

from nesa.chain.keystore import create_keystore
from nesa.cli.main import main
from nesa.client.split_training.remote import posting
from nesa.client.split_training.serving import serving
from nesa.models.compile import compile_model
from nesa.models.runtime import session
from nesa.privacy.battery.findings import Attack
from nesa.privacy.battery.training import Observed, audit_training
from nesa.privacy.envelopes import Deployment, Receiver
from nesa.privacy.keys import generate_key, save_key
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
from nesa.privacy.split.training.layers import Learning, dense, optimiser, packed_size
from nesa.privacy.split.training.part import RemotePart, in_this_process
from nesa.privacy.split.training.peer import IDLE_SECONDS, MOST_SESSIONS, TrainingPeer
from nesa.privacy.split.training.sealed import TrainingService, Writer
from nesa.privacy.split.training.wire import (
    MAX_VALUES_BYTES,
    Backward,
    Close,
    Fetch,
    Forward,
    Layers,
    Open,
    Opened,
    Values,
    decode_request,
    encode_reply,
    pack_rows,
)
from nesa.protocol.errors import (
    ExhaustedResource,
    InvalidInput,
    Unavailable,
)
from nesa.protocol.ids import Address
from scripts import train_digits
from tests.standing_network import shared_network
from tests.train.training_operator import TrainingOperator, registered

pytestmark = [pytest.mark.train, pytest.mark.timeout(300)]

WIDTHS = (64, 64, 32)
FIRST, PEER, ORDER = 5, 7, 5
HERE = Deployment(31337, Address("0x" + "11" * 20))
WRITER, OPERATOR = (Writer(HERE, PrivateKey(bytes(31) + bytes([n])), time.time) for n in (1, 2))
CLIENT, STRANGER = WRITER.address, Address("0x" + "33" * 20)
KEY = generate_key()
EPOCHS = 6


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As the commands do: sums in another order would differ in their last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Digits:
    """Handwritten digits, [n, 64] in [0, 1]."""

    def __init__(self) -> None:
        data = train_digits.data()
        flat = data.train.reshape(len(data.train), -1)
        self.train = Rows(flat, data.train_labels.astype(np.int64))
        test = data.test_features.reshape(len(data.test_features), -1).astype(np.float32)
        self.test = Rows(test / np.float32(16), data.test_labels.astype(np.int64))

    def accuracy(self, whole) -> float:
        return float((predict(whole, self.test.features) == self.test.labels).mean())


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


def schedule(epochs: int = EPOCHS) -> Schedule:
    return Schedule(epochs, 32, Learning(), order=ORDER, noise=ORDER)


def peer(now: float = 0.0) -> TrainingPeer:
    return TrainingPeer(WIDTHS, Learning(), lambda: now)


def client_layers() -> ClientLayers:
    return ClientLayers.dense(64, 10, WIDTHS, FIRST)


async def train_split(digits: Digits, post, noise: Noise | None = None, watch=None):
    """The whole model, trained with the peer behind `post`."""
    part, layers = await RemotePart.open(post, PEER), client_layers()
    await train(layers, part, digits.train, schedule(), noise, watch)
    return joined(layers, await part.layers())


@pytest.fixture(scope="module")
def central(digits):
    """The same layers, seeds and batches in one place: ten lines of torch and none of ours."""
    mine, middle = client_layers(), dense(WIDTHS, PEER)
    whole = torch.nn.Sequential(mine.first, middle, mine.last)
    steps = optimiser(whole, Learning())
    rows, labels = map(torch.from_numpy, (digits.train.features, digits.train.labels))
    order = torch.Generator().manual_seed(ORDER)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(rows), generator=order).split(32):
            steps.zero_grad()
            torch.nn.functional.cross_entropy(whole(rows[batch]), labels[batch]).backward()
            steps.step()
    return whole.eval()


def are_equal(one, other) -> bool:
    """Whether two modules have the same weights, to the bit."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


async def test_split_training_gives_the_weights_of_central_training(digits, central):
    whole = await train_split(digits, in_this_process(peer()))
    assert are_equal(whole, central)
    assert digits.accuracy(whole) >= 0.9


async def test_over_http_in_envelopes_as_well(digits, central):
    service = TrainingService(peer().answer, OPERATOR, KEY, frozenset({CLIENT}))
    async with (
        serving(service.answer, "127.0.0.1", 0) as url,
        posting(url, WRITER, Receiver(OPERATOR.address, KEY.public_key())) as post,
    ):
        whole = await train_split(digits, post)
    assert abs(digits.accuracy(whole) - digits.accuracy(central)) <= 0.01
    assert are_equal(whole, central)


async def test_only_activations_and_gradients_leave(digits):
    """What the peer is sent forward is what the client's first layer gives, and no more."""
    sizes, seen = set(), []
    post = in_this_process(peer())

    async def listening(request: bytes) -> bytes:
        message = decode_request(request)
        if isinstance(message, Forward):
            sizes.add((message.rows, len(message.values)))
            seen.append(np.frombuffer(message.values, "<f4").reshape(message.rows, -1))
        return await post(request)

    part, layers = await RemotePart.open(listening, PEER), client_layers()
    first = layers.first(torch.from_numpy(digits.train.features)).detach().numpy()
    few = Rows(digits.train.features[:64], digits.train.labels[:64])
    await train(layers, part, few, schedule(1))
    assert sizes == {(32, 32 * WIDTHS[0] * 4)}
    order = torch.randperm(64, generator=torch.Generator().manual_seed(ORDER))
    assert np.allclose(seen[0], first[:64][order[:32]])


async def test_noise_costs_accuracy_and_takes_from_the_decoder(digits, central):
    found = {}
    for noise in (0.0, 2.0):
        sent: list[Sent] = []
        whole = await train_split(digits, in_this_process(peer()), Noise(noise), sent.append)
        last = [each for each in sent if each.epoch == EPOCHS - 1]
        numbers = np.concatenate([each.numbers for each in last])
        seen = Observed(
            digits.train.features[numbers],
            digits.train.labels[numbers],
            np.concatenate([each.activations for each in last]),
            np.concatenate([each.gradients for each in last]),
        )
        decoded = [each for each in audit_training(seen, 125) if each.attack is Attack.T6]
        found[noise] = decoded[0].recovery, digits.accuracy(whole)
    assert found[0.0][0] > 0.5
    assert found[2.0][0] < found[0.0][0] - 0.2
    assert found[2.0][1] < found[0.0][1]


def test_equal_noise_is_drawn_from_equal_seeds_only(digits):
    async def sent_first(seed: int) -> np.ndarray:
        sent: list[Sent] = []
        part = await RemotePart.open(in_this_process(peer()), PEER)
        few = Rows(digits.train.features[:32], digits.train.labels[:32])
        plan = Schedule(1, 32, Learning(), order=ORDER, noise=seed)
        await train(client_layers(), part, few, plan, Noise(1.0), sent.append)
        return sent[0].activations

    one, again, other = (asyncio.run(sent_first(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize(
    ("problem", "change"),
    [
        ("NaN or infinite", lambda rows: np.full_like(rows, np.nan)),
        ("bytes where", lambda rows: rows[:-1]),
        ("bytes where", lambda rows: np.repeat(rows, 2, axis=1)),
    ],
)
@pytest.mark.parametrize("which", [Forward, Backward])
async def test_a_peer_that_lies_is_refused_and_nothing_is_learnt(digits, problem, change, which):
    honest = in_this_process(peer())

    async def lying(request: bytes) -> bytes:
        reply = await honest(request)
        if not isinstance(decode_request(request), which):
            return reply
        width = WIDTHS[-1] if which is Forward else WIDTHS[0]
        rows = np.ones((32, width), np.float32)
        return encode_reply(Values(change(rows).astype("<f4").tobytes()))

    part, layers = await RemotePart.open(lying, PEER), client_layers()
    with pytest.raises(InvalidInput, match=problem):
        await train(layers, part, digits.train, schedule(1))
    assert are_equal(layers.first, client_layers().first)
    assert are_equal(layers.last, client_layers().last)


def opened(held: TrainingPeer, client: Address = CLIENT) -> bytes:
    reply = held.answer(client, Open(PEER))
    assert isinstance(reply, Opened)
    return reply.session


ROWS = pack_rows(np.ones((2, WIDTHS[0]), np.float32))
BACK = pack_rows(np.ones((2, WIDTHS[-1]), np.float32))


def test_a_step_is_made_once():
    """An answer that got lost is given again; the layers learn nothing twice."""
    held, twice = peer(), peer()
    one, two = opened(held), opened(twice)
    for name, its, times in ((one, held, 1), (two, twice, 2)):
        for _ in range(times):
            its.answer(CLIENT, Forward(name, 0, 2, ROWS))
        answers = [its.answer(CLIENT, Backward(name, 0, BACK)) for _ in range(times)]
        assert len(set(answers)) == 1
    assert packed_layers(held, one) == packed_layers(twice, two)


def packed_layers(held: TrainingPeer, name: bytes):
    reply = held.answer(CLIENT, Fetch(name, 0))
    assert isinstance(reply, Layers)
    return reply.part


@pytest.mark.parametrize(
    ("problem", "request_"),
    [
        ("no such training", lambda name: Forward(bytes(32), 0, 2, ROWS)),
        ("has not gone forward", lambda name: Backward(name, 0, BACK)),
        ("bytes where", lambda name: Forward(name, 0, 3, ROWS)),
        ("rows where", lambda name: Forward(name, 0, 0, b"")),
        (
            "NaN or infinite",
            lambda name: Forward(name, 0, 2, np.full(2 * WIDTHS[0], np.nan, "<f4").tobytes()),
        ),
        (
            "no longer give finite numbers",
            lambda name: Forward(name, 0, 2, np.full(2 * WIDTHS[0], 3e38, "<f4").tobytes()),
        ),
    ],
)
def test_a_client_that_sends_nonsense_changes_nothing(problem, request_):
    held = peer()
    name = opened(held)
    before = packed_layers(held, name)
    with pytest.raises(InvalidInput, match=problem):
        held.answer(CLIENT, request_(name))
    assert packed_layers(held, name) == before


def test_a_step_that_is_over_is_not_gone_back_to():
    held = peer()
    name = opened(held)
    held.answer(CLIENT, Forward(name, 4, 2, ROWS))
    held.answer(CLIENT, Backward(name, 4, BACK))
    with pytest.raises(InvalidInput, match="made already"):
        held.answer(CLIENT, Forward(name, 3, 2, ROWS))


def test_trainings_are_few_and_idle_ones_make_room():
    times = [0.0]
    held = TrainingPeer(WIDTHS, Learning(), lambda: times[0])
    others = [Address(f"0x{number:040x}") for number in range(1, MOST_SESSIONS)]
    for client in others:
        opened(held, client)
    first, second = opened(held), opened(held)  # in place of its own
    with pytest.raises(InvalidInput, match="no such training"):
        packed_layers(held, first)
    assert packed_layers(held, second)
    with pytest.raises(ExhaustedResource, match="are under way"):
        opened(held, STRANGER)
    times[0] = IDLE_SECONDS + 1
    opened(held, STRANGER)
    with pytest.raises(InvalidInput, match="no such training"):
        packed_layers(held, second)


def test_who_knows_the_name_of_a_training_but_is_another_gets_nothing():
    held = peer()
    name = opened(held)
    with pytest.raises(InvalidInput, match="no such training"):
        held.answer(STRANGER, Fetch(name, 0))
    held.answer(STRANGER, Close(name))
    assert packed_layers(held, name)


async def test_layers_that_no_envelope_holds_are_handed_over_in_parts():
    widths = (512, 1024)
    large = TrainingPeer(widths, Learning(), lambda: 0.0)
    part = await RemotePart.open(in_this_process(large), PEER)
    assert packed_size(widths) > 2 * MAX_VALUES_BYTES
    assert are_equal(await part.layers(), dense(widths, PEER))


@pytest.mark.parametrize("widths", [(), (4,), (0, 4), (4, 5000), (4096, 4096), (2,) * 18])
def test_layers_that_are_none_or_too_large_are_refused(widths):
    with pytest.raises(InvalidInput):
        TrainingPeer(widths, Learning(), lambda: 0.0)


async def test_where_no_peer_listens_that_is_said():
    nobody = Receiver(OPERATOR.address, KEY.public_key())
    async with posting("http://127.0.0.1:1", WRITER, nobody) as post:
        with pytest.raises(Unavailable, match="did not answer"):
            await RemotePart.open(post, PEER)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> TrainingOperator:
    return registered(shared_network(), tmp_path_factory.mktemp("operator"))


def saved(digits: Digits, path: Path) -> Path:
    np.savez(
        path,
        train=digits.train.features,
        train_labels=digits.train.labels,
        test=digits.test.features,
        test_labels=digits.test.labels,
    )
    return path


def test_two_processes_train_what_one_would(digits, central, operator, tmp_path, capsys):
    """In envelopes to the keys that the chain has; what comes of it is a float model that
    compiles."""
    model, data = tmp_path / "model.onnx", saved(digits, tmp_path / "data.npz")
    words = ["privacy", "train-split", "--output", str(model), "--epochs", str(EPOCHS), "--json"]
    words += ["--operator", operator.account, *operator.reached]
    with operator.served("--port", "0") as (_, url):
        line = [*words, url, str(data), "--seed", str(FIRST), "--audit"]
        assert main(line) == 0
    facts = json.loads(capsys.readouterr().out)
    assert abs(facts["accuracy"] - digits.accuracy(central)) <= 0.01
    assert {one["attack"] for one in facts["recovered"]} == {"T5", "T6", "T7"}
    runner = session(model.read_bytes())
    (answer,) = runner.run(None, {runner.get_inputs()[0].name: digits.test.features[:1]})
    wanted = central(torch.from_numpy(digits.test.features[:1])).detach().numpy()
    assert np.allclose(answer, wanted, atol=1e-4)
    compile_model(model.read_bytes(), digits.train.features[:100].astype(np.float64))


def refused(operator, url: str, data: Path, model: Path, capsys, *words: str) -> str:
    """What `train-split` says that it did not train for."""
    named = ["--operator", operator.account, *operator.reached]
    line = ["privacy", "train-split", url, str(data), "--output", str(model), *named, *words]
    assert main(line) != 0
    assert not model.exists()
    return " ".join(capsys.readouterr().err.split())


def test_who_is_not_let_in_or_names_another_operator_does_not_train(
    digits, operator, tmp_path, capsys
):
    data, model = saved(digits, tmp_path / "data.npz"), tmp_path / "model.onnx"
    with operator.served("--port", "0", allowed=STRANGER) as (_, url):
        assert "may not train here" in refused(operator, url, data, model, capsys)
    with operator.served("--port", "0") as (_, url):
        (tmp_path / "other").mkdir()
        other = registered(operator.network, tmp_path / "other")
        assert "for another receiver" in refused(other, url, data, model, capsys)
        nobody = replace(operator, account=STRANGER)
        assert "is no registered operator" in refused(nobody, url, data, model, capsys)


def test_a_peer_is_not_served_under_keys_that_the_chain_does_not_have(operator, tmp_path, capsys):
    words = ["privacy", "serve-split", "--allow", operator.client, *operator.words]
    place = words.index("--encryption-keystore") + 1
    save_key(tmp_path / "other.json", generate_key(), "a password", 2**10)
    assert main([*words[:place], str(tmp_path / "other.json"), *words[place + 1 :]]) != 0
    assert "has another encryption key" in " ".join(capsys.readouterr().err.split())
    place = words.index("--keystore") + 1
    create_keystore(tmp_path / "nobody.json", "a password", cost=2**10)
    assert main([*words[:place], str(tmp_path / "nobody.json"), *words[place + 1 :]]) != 0
    assert "is the signer of no operator" in " ".join(capsys.readouterr().err.split())


def test_a_peer_that_dies_ends_the_training_with_a_word(digits, operator, tmp_path, capsys):
    data, model = saved(digits, tmp_path / "data.npz"), tmp_path / "model.onnx"
    with operator.served("--port", "0") as (process, url):
        process.kill()
        process.wait()
        assert "did not answer" in refused(operator, url, data, model, capsys)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"train_labels": None}, "has no array train_labels"),
        ({"train_labels": np.zeros(3, np.int64)}, "with one label each"),
        ({"train_labels": np.zeros(8)}, "whole numbers"),
        ({"train": np.full((8, 2), np.nan)}, "NaN or infinite"),
        ({"test": np.zeros((8, 3))}, "different shapes"),
    ],
)
def test_data_that_does_not_fit_is_refused(change, problem, tmp_path, capsys):
    held = {
        "train": np.zeros((8, 2)),
        "train_labels": np.zeros(8, np.int64),
        "test": np.zeros((8, 2)),
        "test_labels": np.zeros(8, np.int64),
    }
    path = tmp_path / "data.npz"
    np.savez(path, **{name: one for name, one in (held | change).items() if one is not None})
    words = ["privacy", "train-split", "http://127.0.0.1:1", str(path), "--operator", STRANGER]
    assert main([*words, "--output", str(tmp_path / "model.onnx")]) != 0
    assert problem in " ".join(capsys.readouterr().err.split())
