"""Whether several queries in one run of a shard pay: `python -m benchmarks.stacking`.

Every model whole, one thread, tensors in and out as canonical bytes. Single runs use the published
file as it is, stacks the same file with an open first axis. `--minilm` adds the integer encoder of
64 tokens; it needs requirements/train and compiles for some minutes. All results are compared.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import onnxruntime

from nesa.models.folder import load
from nesa.models.graph import Shard, Table
from nesa.models.lowering import runtime_model
from nesa.models.runtime import ShardRunner
from nesa.models.stacking import best_size, most_stacked
from nesa.protocol.digests import bytes_root
from nesa.protocol.edges import EdgeType
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = Path(__file__).parent / "results" / "stacking.md"
MODELS: Final = ("breast-cancer-mlp", "digits-cnn")
SIZES: Final = (1, 2, 4, 8, 16)
TOKENS: Final = 64
LEAST_SECONDS: Final = 0.2


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each size")
    parser.add_argument("--minilm", action="store_true", help="the integer encoder too")
    chosen = parser.parse_args()
    page = report(dict(tables(minilm=chosen.minilm)), chosen.rounds)
    RESULTS.write_text(page, encoding="utf-8")
    print(page)


def tables(*, minilm: bool) -> Iterator[tuple[str, Table]]:
    """The models, each in one shard."""
    for name in MODELS:
        yield name, replace(load(ROOT / "models" / name).table, cuts=())
    if minilm:
        yield f"MiniLM, {TOKENS} tokens", _minilm()


def report(found: dict[str, Table], rounds: int) -> str:
    """One line a model: time of a single query, then of one in a stack of each size."""
    heads = " | ".join(f"{size} at once" for size in SIZES)
    lines = [
        "# Several queries in one run",
        "",
        f"{platform.processor() or platform.machine()}, ONNX Runtime {onnxruntime.__version__}, "
        f"one thread, load average {os.getloadavg()[0]:.1f}; milliseconds a query, median of "
        f"{rounds}.",
        "",
        f"| model | single file | {heads} | a miner takes |",
        f"|---|--:|{'--:|' * len(SIZES)}--:|",
    ]
    return "\n".join([*lines, *(line(*one, rounds) for one in found.items()), ""])


def line(name: str, table: Table, rounds: int) -> str:
    """One line of the table.

    Raises:
        AssertionError: a stack computes other bytes than single runs.
    """
    single, stack = (runner(table, stacks=stacks) for stacks in (False, True))
    random = np.random.default_rng(1)
    queries = [_query(stack.facts.input_edges, random) for _ in range(max(SIZES))]
    if stack.run_stacked(queries) != [single.run(query) for query in queries]:
        raise AssertionError(f"{name} computes other bytes in a stack")
    alone = _seconds(lambda: single.run(queries[0]), rounds)
    spent = {size: _seconds(partial(stack.run_stacked, queries[:size]), rounds) for size in SIZES}
    each = " | ".join(f"{spent[size] / size * 1e3:.3f}" for size in SIZES)
    return f"| {name} | {alone * 1e3:.3f} | {each} | {best_size(spent)} |"


def runner(table: Table, *, stacks: bool) -> ShardRunner:
    """The whole table as one shard.

    Raises:
        AssertionError: its rows cannot be stacked.
    """
    ends = table.crossing(0), table.crossing(len(table.rows))
    shard = Shard(0, len(table.rows), *ends)
    if most_stacked(table, shard) < max(SIZES):
        raise AssertionError("the model cannot be stacked so high")
    file = runtime_model(table, shard)
    edges = table.types_of(shard.inputs), table.types_of(shard.outputs)
    facts = ShardFacts(*edges, bytes_root(file), ZERO_DIGEST, ZERO_DIGEST)
    return ShardRunner(file, facts, stacks=stacks)


def _query(edges: Sequence[EdgeType], random: np.random.Generator) -> tuple[bytes, ...]:
    return tuple(
        edge.encode(random.integers(edge.low, edge.high + 1, edge.shape)) for edge in edges
    )


def _seconds(run: Callable[[], object], rounds: int) -> float:
    """Median over the rounds of the mean time of one call."""
    run()
    found = []
    for _ in range(rounds):
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < LEAST_SECONDS / rounds or count == 0:
            run()
            count += 1
        found.append((time.perf_counter() - begun) / count)
    return median(found)


def _minilm() -> Table:
    from nesa.models.compile import compile_model
    from scripts import minilm, retrieval

    ids = minilm.token_ids(retrieval.load().calibration, TOKENS).astype(np.float64)
    exported = minilm.export(minilm.encoder(TOKENS))
    return compile_model(exported, ids, percentile=100.0, padding=0).table


if __name__ == "__main__":
    main()
