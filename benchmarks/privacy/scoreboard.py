"""The privacy scoreboard: what the battery finds in every mode, as a page and a picture.

    python -m benchmarks.privacy.scoreboard --write

Real all-MiniLM-L6-v2 in floats and in integers (needs requirements/train), and the models of the
repository. Requests and the attacker's text are two halves of Python's own documentation. Minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.privacy.corpus import paragraphs
from benchmarks.privacy.page import Score, picture, text_page
from nesa.models.folder import CompiledModel, load
from nesa.models.runtime import session
from nesa.privacy.battery.audit import audit
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.compiled import Subject, Text
from nesa.privacy.battery.observing import view
from nesa.privacy.battery.views import Floats, Hidden, Items, Observer, Public, Secret, View
from nesa.privacy.battery.vocabulary import Effort

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "privacy-scoreboard.md"
PICTURE: Final = PAGE.with_suffix(".svg")

PLACES: Final = 64
LONGEST: Final = 56
"""Tokens of the longest request; the attacker knows that the places behind hold padding."""
PADDING, FIRST, LAST = 0, 101, 102
"""[PAD], [CLS] and [SEP]."""
SEED: Final = 1
WATCHED: Final = 240
"""Requests whose states are seen."""
BLOCKS: Final = 6
SPLIT_BEHIND: Final = range(1, BLOCKS + 1)
"""Blocks behind which a client may hand over."""

RECORDS: Final = Budget(requests=64)
TOKENS: Final = Budget(requests=4, inverted=64, lessons=512, effort=Effort(shortlist=4))
WIDELY: Final = replace(TOKENS, requests=32, effort=Effort(sweeps=0))
"""More requests where nothing is found that could be improved."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the page; write it and the picture where `--write` is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--without-text", action="store_true", help="only the repository's models")
    parser.add_argument(
        "--minilm",
        type=Path,
        default=ROOT / ".build" / "minilm",
        help="folder of scripts.minilm, with model.onnx and the compiled model in compiled/",
    )
    options = parser.parse_args(arguments)
    scores = list(_record_scores())
    if not options.without_text:
        scores += _text_scores(options.minilm)
    page = text_page(scores)
    print(page)
    if options.write:
        PAGE.write_text(page + "\n", encoding="utf-8")
        PICTURE.write_text(picture(scores), encoding="utf-8")


def _record_scores() -> Iterator[Score]:
    for name in ("breast-cancer-mlp", "digits-cnn"):
        subject = Subject(load(ROOT / "models" / name))
        for observer in Observer:
            if observer is not Observer.ROTATED_MEMBER:
                seen = view(subject, observer, SEED)
                yield _score(name, subject.public, seen, subject.secret, RECORDS)


def _text_scores(folder: Path) -> Iterator[Score]:
    text = requests_and_text()
    _prepare(folder)
    model = load(folder / "compiled")
    subject = Subject(model, text, depths=BLOCKS, watched=WATCHED)
    for observer in Observer:
        if observer is not Observer.ROTATED_MEMBER:
            seen = view(subject, observer, SEED)
            if observer is Observer.SEALED_OUTSIDER:
                seen = replace(seen, seconds=_seconds(model, subject.secret.items))
            budget = WIDELY if seen.shares else TOKENS
            yield _score("MiniLM, integers", subject.public, seen, subject.secret, budget)
    yield from _float_scores((folder / "model.onnx").read_bytes(), text, subject.secret)


def _prepare(folder: Path) -> None:
    """Writes the float model and compiles it, unless the folder holds both."""
    from nesa.cli.main import main as nesa
    from scripts import minilm

    if (folder / "compiled" / "model.json").exists():
        return
    minilm.write_float_model(PLACES, folder)
    files = [str(folder / name) for name in ("model.onnx", "data.npz", "words.json")]
    options = ["--percentile", "100", "--shards", "3", "--output", str(folder / "compiled")]
    if nesa(["model", "compile", *files, *options]):
        raise SystemExit(f"MiniLM could not be compiled into {folder}")


def _float_scores(onnx_file: bytes, text: Text, secret: Secret) -> Iterator[Score]:
    from benchmarks.privacy.float_encoder import FloatEncoder

    encoder = FloatEncoder(onnx_file)
    known = np.full(PLACES, -1)
    known[list(text.known)] = list(text.known.values())
    public = Public(
        vocabulary=len(encoder.table),
        states=encoder.states,
        text=text.text,
        known=known,
        common=text.common | {PADDING},
        table=encoder.table,
        layers={depth: each.T for depth, each in enumerate(encoder.queries)},
    )
    watched = secret.items[:WATCHED]
    for hidden in (Hidden.BASIS, Hidden.CHANNELS):
        for seen in _equivariant(public, encoder.states(watched, 0), secret, hidden):
            yield _score("MiniLM, floats", public, seen, secret, TOKENS)
    states = {depth: encoder.states(watched, depth) for depth in SPLIT_BEHIND}
    split = View(Observer.SPLIT_MEMBER, states=states)
    yield _score("MiniLM, floats", public, split, secret, TOKENS)


def _equivariant(public: Public, states: Floats, secret: Secret, hidden: Hidden) -> Iterator[View]:
    """What the node of the first block sees under the naive transform of public weights, and the
    embedding rounded to float16 and int8.

    LayerNorm takes a rotation that keeps the vector of ones. Behind it a post-norm encoder needs
    one more dense layer, which no attack here looks at.
    """
    assert public.table is not None
    draws, width = np.random.default_rng(SEED), public.table.shape[1]
    basis = _permutation(draws, width) if hidden is Hidden.CHANNELS else _rotation(draws, width)
    observers = {Hidden.CHANNELS: Observer.PERMUTED_MEMBER, Hidden.BASIS: Observer.ROTATED_MEMBER}
    words = draws.permutation(public.vocabulary)
    table = (public.table @ basis.T)[np.argsort(words)]
    whole = View(
        observers[hidden],
        hidden,
        identifiers=words[secret.items],
        states={0: states @ basis.T},
        table=table,
        layers={0: _shuffled(public.layers[0] @ basis.T, draws)},
    )
    yield whole
    few = words[secret.items[:WATCHED]]
    for rounded in (table.astype(np.float16), np.rint(table / np.abs(table).max() * 127)):
        held = rounded if rounded.dtype == np.float16 else rounded.astype(np.int8)
        yield View(whole.observer, hidden, identifiers=few, table=held)


def _shuffled(rows: Floats, draws: np.random.Generator) -> Floats:
    shuffled: Floats = rows[draws.permutation(len(rows))]
    return shuffled


def _permutation(draws: np.random.Generator, width: int) -> Floats:
    basis: Floats = np.eye(width, dtype=np.float32)[draws.permutation(width)]
    return basis


def _rotation(draws: np.random.Generator, width: int) -> Floats:
    """An orthogonal basis that keeps the vector of ones, which is what LayerNorm needs."""
    ones = np.linalg.qr(np.column_stack([np.ones(width), draws.normal(size=(width, width - 1))]))[0]
    inner = np.linalg.qr(draws.normal(size=(width - 1, width - 1)))[0]
    turned = np.eye(width)
    turned[1:, 1:] = inner
    return np.asarray(ones @ turned @ ones.T, np.float32)


def requests_and_text() -> Text:
    """Token ids of paragraphs of documentation: a half for clients, a half for the attacker."""
    from scripts import minilm

    halves = [minilm.token_ids(each, PLACES) for each in paragraphs()]
    ours, theirs = (rows[(rows != PADDING).sum(1) <= LONGEST] for rows in halves)
    known = {0: FIRST} | dict.fromkeys(range(LONGEST, PLACES), PADDING)
    return Text(ours, theirs, known, frozenset({PADDING, FIRST, LAST}))


def _seconds(model: CompiledModel, items: Items) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """How long each of the first requests takes a miner, shard after shard."""
    runners = [session(model.shard_file(number)) for number in range(len(model.shards))]
    found = []
    for row in items[:WATCHED]:
        start, tensors = time.perf_counter(), [row[None].astype(np.float32)]
        for runner in runners:
            names = [each.name for each in runner.get_inputs()]
            tensors = runner.run(None, dict(zip(names, tensors, strict=True)))
        found.append(time.perf_counter() - start)
    return np.array(found)


def _score(model: str, public: Public, seen: View, secret: Secret, budget: Budget) -> Score:
    start = time.perf_counter()
    findings = audit(public, seen, secret, budget)
    spent = time.perf_counter() - start
    print(f"{model}: {seen.observer.value}, {spent:.0f} s", flush=True)
    return Score(model, seen.observer, findings, spent)


if __name__ == "__main__":
    main()
