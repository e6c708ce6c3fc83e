"""Integer all-MiniLM-L6-v2 against the float model: `make bench-models`, needs requirements/train.

Time of one sentence filled up to 64 and to 128 tokens, both models in plain ONNX Runtime at its
default level with one thread and with two, each session alone in the process. What they find is
compared on the knowledge base of `examples/`.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from nesa.models.compile import compile_model
from nesa.models.lowering import runtime_model
from nesa.models.runtime import session
from scripts import minilm, retrieval

TOKENS: Final = (64, 128)
THREADS: Final = (1, 2)
RESULTS: Final = Path(__file__).parent / "results" / "minilm.md"


def main() -> None:
    """Print the page, and write it where `--write` is given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    options = parser.parse_args()
    page = report(options.rounds)
    print(page)
    if options.write:
        RESULTS.write_text(page + "\n", encoding="utf-8")


def report(rounds: int) -> str:
    """Both tables in markdown."""
    base = retrieval.load()
    timings, agreements = [], []
    for tokens in TOKENS:
        exported = minilm.export(minilm.encoder(tokens))
        integer = compiled(exported, base, tokens)
        timings += [timing(exported, integer, base, tokens, threads, rounds) for threads in THREADS]
        agreements.append(agreement(exported, integer, base, tokens))
    return "\n".join(
        [
            "# all-MiniLM-L6-v2 in integers",
            "",
            f"{platform.processor() or platform.machine()}, ONNX Runtime {ort.__version__}, median "
            f"of {rounds} runs, one sentence.",
            "",
            "| tokens | threads | float32 | integers | ratio |",
            "|---:|---:|---:|---:|---:|",
            *timings,
            "",
            f"{len(base.passages)} passages and {len(base.queries)} queries, calibrated on "
            f"{len(base.calibration)} sentences of other content:",
            "",
            "| tokens | mean cosine | lowest cosine | same nearest passage | found, float "
            "| found, integers |",
            "|---:|---:|---:|---:|---:|---:|",
            *agreements,
        ]
    )


def compiled(exported: bytes, base: retrieval.KnowledgeBase, tokens: int) -> bytes:
    """The integer model as one ONNX file."""
    ids = minilm.token_ids(base.calibration, tokens).astype(np.float64)
    table = compile_model(exported, ids, percentile=100.0, padding=0).table
    return runtime_model(table, table.shards[0])


def timing(
    exported: bytes,
    integer: bytes,
    base: retrieval.KnowledgeBase,
    tokens: int,
    threads: int,
    rounds: int,
) -> str:
    """One line of the table of times."""
    row = minilm.token_ids(base.queries[:1], tokens)
    real = milliseconds(exported, row, threads, rounds)
    whole = milliseconds(integer, row.astype(np.float32), threads, rounds)
    return f"| {tokens} | {threads} | {real:.1f} ms | {whole:.1f} ms | {whole / real:.2f} |"


def milliseconds(onnx: bytes, ids: NDArray[np.generic], threads: int, rounds: int) -> float:
    """Median of the runs behind the first; idle threads of another session would spin beside it."""
    runner = session(onnx, ort.GraphOptimizationLevel.ORT_ENABLE_ALL, threads)
    feeds = {runner.get_inputs()[0].name: ids}
    runner.run(None, feeds)
    spent = []
    for _ in range(rounds):
        begun = time.perf_counter()
        runner.run(None, feeds)
        spent.append(time.perf_counter() - begun)
    return median(spent) * 1e3


def agreement(exported: bytes, integer: bytes, base: retrieval.KnowledgeBase, tokens: int) -> str:
    """One line of the table of what is found."""
    runner = session(integer)

    def embed(sentences: Sequence[str]) -> NDArray[np.float64]:
        rows = minilm.token_ids(sentences, tokens).astype(np.float32)
        return np.concatenate([runner.run(None, {"x0": row[None]})[0] for row in rows])

    real = retrieval.embed(minilm.embedding(exported), base)
    whole = retrieval.embed(embed, base)
    found = retrieval.agreement(real, whole)
    hits = [retrieval.hit_rate(vectors, base) for vectors in (real, whole)]
    return (
        f"| {tokens} | {found.mean_cosine:.4f} | {found.lowest_cosine:.4f} | {found.top_one:.1%} "
        f"| {hits[0]:.1%} | {hits[1]:.1%} |"
    )


if __name__ == "__main__":
    main()
