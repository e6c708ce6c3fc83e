"""The privacy scoreboard: what the battery finds in every mode, as a page and a picture.

    python -m benchmarks.privacy.scoreboard --write

Real all-MiniLM-L6-v2 in floats and in integers (needs requirements/train), and the models of the
repository. Requests and the attacker's text are two halves of Python's own documentation. Minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from onnx import load_model_from_string
from pydantic import TypeAdapter

from benchmarks.privacy.corpus import paragraphs
from benchmarks.privacy.page import broken, details_page, text_page
from nesa.models.folder import CompiledModel, load
from nesa.models.runtime import session
from nesa.privacy.battery.audit import audit
from nesa.privacy.battery.case import Budget
from nesa.privacy.battery.compiled import Subject, Text
from nesa.privacy.battery.float_graphs import FloatSubject, GraphStates
from nesa.privacy.battery.observing import OF_INTEGERS, view
from nesa.privacy.battery.picture import Score, picture
from nesa.privacy.battery.recording import asking_order
from nesa.privacy.battery.views import Items, Observer, Public, Secret, States, View
from nesa.privacy.battery.vocabulary import Effort
from nesa.privacy.equivariant.keys import EquivariantKey

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "privacy-scoreboard.md"
DETAILS: Final = ROOT / "docs" / "privacy-scoreboard-details.md"
PICTURE: Final = PAGE.with_suffix(".svg")

PLACES: Final = 64
LONGEST: Final = 56
"""Tokens of the longest request; the attacker knows that the places behind hold padding."""
PADDING, FIRST, LAST = 0, 101, 102
"""[PAD], [CLS] and [SEP]."""
SCORES: Final = TypeAdapter(list[Score])
SEED: Final = 1
KEY: Final = EquivariantKey(bytes([SEED]) * 32, bytes(32))
"""Of the float models; the integer models' is drawn from the seed."""
WATCHED: Final = 240
"""Requests whose states are seen."""
ASKED: Final = 400
"""Requests to a model of the repository that are asked of groups to the end: milliseconds each, and
a second of MiniLM."""
BLOCKS: Final = 6
SPLIT_BEHIND: Final = range(1, BLOCKS + 1)
"""Blocks behind which a client may hand over."""
NORMS_A_BLOCK: Final = 2

RECORDS: Final = Budget(requests=64)
DECODER: Final = Budget(requests=64, known=16)
"""Few of its requests are known: it has sixty words."""
TOKENS: Final = Budget(requests=4, inverted=64, lessons=512, effort=Effort(shortlist=4))
WIDELY: Final = replace(TOKENS, requests=32, effort=Effort(sweeps=0))
"""More requests where nothing is found that could be improved."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the page; write it, its details and the picture where `--write` is given.

    The exit status is 1 where a claim is broken.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--without-text", action="store_true", help="no MiniLM")
    parser.add_argument(
        "--minilm",
        type=Path,
        default=ROOT / ".build" / "minilm",
        help="folder of scripts.minilm, with model.onnx and the compiled model in compiled/",
    )
    parser.add_argument(
        "--scores", type=Path, help="file of scores: those in it are taken, others are added"
    )
    options = parser.parse_args(arguments)
    board = Board(options.scores)
    _record_scores(board)
    _decoder_scores(board)
    if not options.without_text:
        _text_scores(board, options.minilm)
    page = text_page(board.scores)
    print(page)
    if options.write:
        PAGE.write_text(page + "\n", encoding="utf-8")
        DETAILS.write_text(details_page(board.scores) + "\n", encoding="utf-8")
        PICTURE.write_text(picture(board.scores), encoding="utf-8")
    if lines := broken(board.scores):
        raise SystemExit("\n".join(lines))


class Board:
    """Scores in the order in which they are asked for.

    A file of them makes a run resumable: what it has of the same model and observer, the first for
    the first, is taken and not computed again.
    """

    def __init__(self, file: Path | None) -> None:
        self.scores: list[Score] = []
        self._file = file
        read = file.read_bytes() if file is not None and file.exists() else b"[]"
        self._waiting = SCORES.validate_json(read)

    def add(
        self,
        model: str,
        public: Public,
        secret: Secret,
        budget: Budget,
        observer: Observer,
        see: Callable[[], View],
    ) -> None:
        """The score of what `observer` sees, which `see` makes, unless the file has it."""
        for waiting in self._waiting:
            if (waiting.model, waiting.observer) == (model, observer):
                self._waiting.remove(waiting)
                self.scores.append(waiting)
                return
        seen, start = see(), time.perf_counter()
        findings = audit(public, seen, secret, budget)
        spent = time.perf_counter() - start
        print(f"{model}: {observer.value}, {spent:.0f} s", flush=True)
        self.scores.append(Score(model, observer, findings, spent))
        if self._file is not None:
            self._file.write_bytes(SCORES.dump_json([*self.scores, *self._waiting]))


def _record_scores(board: Board) -> None:
    for name in ("breast-cancer-mlp", "digits-cnn"):
        subject = Subject(load(ROOT / "models" / name), asked=ASKED)
        for observer in OF_INTEGERS:
            see = partial(view, subject, observer, SEED)
            board.add(name, subject.public, subject.secret, RECORDS, observer, see)


def _text_scores(board: Board, folder: Path) -> None:
    text = requests_and_text()
    _prepare(folder)
    model = load(folder / "compiled")
    subject = Subject(model, text, depths=BLOCKS, watched=WATCHED)

    def see(observer: Observer) -> View:
        seen = view(subject, observer, SEED)
        if observer is Observer.SEALED_OUTSIDER:
            return replace(seen, seconds=_seconds(model, subject.secret.items))
        return seen

    for observer in OF_INTEGERS:
        budget = WIDELY if observer is Observer.SHARED_MEMBER else TOKENS
        given = (subject.public, subject.secret, budget)
        board.add("MiniLM, integers", *given, observer, partial(see, observer))
    _float_scores(board, (folder / "model.onnx").read_bytes(), text, subject.secret)


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


def _decoder_scores(board: Board) -> None:
    """A pre-norm decoder, whose stream a key rotates; MiniLM's is only permuted."""
    from tests.privacy.battery.decoder import decoder_requests, decoder_subject

    secret = decoder_requests()
    subject = decoder_subject(secret)
    given = ("Small decoder of random weights, floats", subject.public(), secret, DECODER)
    for observer in (Observer.ROTATED_MEMBER, Observer.ROTATED_PRIVATE):
        board.add(*given, observer, partial(subject.view, observer, KEY, secret, WATCHED))


def _float_scores(board: Board, onnx_file: bytes, text: Text, secret: Secret) -> None:
    subject = FloatSubject(load_model_from_string(onnx_file), text, depths=BLOCKS)
    public, states = subject.public(), states_behind_blocks(subject).run
    for observer in (Observer.PERMUTED_MEMBER, Observer.PERMUTED_PRIVATE):
        see = partial(subject.view, observer, KEY, secret, WATCHED)
        board.add("MiniLM, floats", public, secret, TOKENS, observer, see)
    behind = replace(public, states=states)
    watched, observer = secret.items[:WATCHED], Observer.SPLIT_MEMBER
    for depth in SPLIT_BEHIND:
        see = partial(_split, states, watched, depth)
        board.add("MiniLM, floats", behind, secret, TOKENS, observer, see)


def states_behind_blocks(subject: FloatSubject) -> GraphStates:
    """Of MiniLM in floats, behind the embedding (depth 0) and behind each block. The subject's own
    depths end in front of the last block, behind which no dense layer reads."""
    nodes = subject.plain.graph.node
    norms = [each.output[0] for each in nodes if each.op_type == "LayerNormalization"]
    return GraphStates(subject.plain, norms[::NORMS_A_BLOCK])


def _split(states: States, watched: Items, depth: int) -> View:
    return View(Observer.SPLIT_MEMBER, states={depth: states(watched, depth)})


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
    found = np.zeros(WATCHED)
    for number in asking_order(WATCHED):
        start, tensors = time.perf_counter(), [items[number][None].astype(np.float32)]
        for runner in runners:
            names = [each.name for each in runner.get_inputs()]
            tensors = runner.run(None, dict(zip(names, tensors, strict=True)))
        found[number] = time.perf_counter() - start
    return found


if __name__ == "__main__":
    main()
