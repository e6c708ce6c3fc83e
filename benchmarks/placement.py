"""How near predicted times are to measured ones, and plans to their bounds; as markdown.

`python -m benchmarks.placement` measures this machine's capacity as a miner does, predicts the
time of whole models from it, and runs them. Then it plans for made-up swarms.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.transformer import transformer
from nesa.models.folder import load
from nesa.models.graph import Shard, Table
from nesa.models.lowering import runtime_model
from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.placement.capacities import Capacity, Link, Miner, Swarm
from nesa.models.placement.costs import Arithmetic, ModelCosts
from nesa.models.placement.graph_costs import graph_costs
from nesa.models.placement.plan import Wish, plan
from nesa.models.placement.stages import Objective
from nesa.models.placement.table_costs import table_costs
from nesa.models.runtime import session
from nesa_miner.measuring import Measured, measure
from tests.models.encoder import encoder

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = Path(__file__).parent / "results" / "placement.md"
MODELS: Final = ("breast-cancer-mlp", "digits-cnn")
ENCODERS: Final = ((6, 128, 384), (2, 16, 64))
ROUNDS: Final = 5
LEAST_SECONDS: Final = 0.3
SWARMS: Final = (4, 8, 12, 100, 1000)
REPLICAS: Final = (1, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model with its costs and something to run it with."""

    name: str
    costs: ModelCosts
    model: bytes


def main() -> None:
    """Measure, print the tables, and keep them."""
    parser = argparse.ArgumentParser(description="Compares predictions, plans and bounds.")
    parser.add_argument("--miners", type=int, nargs="+", default=SWARMS, help="sizes of swarms")
    sizes = parser.parse_args().miners
    measured = median_of([measure() for _ in range(ROUNDS)])
    found = list(subjects())
    text = "\n\n".join((machine(measured), predictions(found, measured), gaps(found, sizes)))
    print(text)
    RESULTS.write_text(text + "\n", encoding="utf-8")


def subjects() -> Iterator[Subject]:
    """The models of the repository, a small integer encoder, and float encoders."""
    for name in MODELS:
        yield _from_table(name, load(ROOT / "models" / name).table)
    yield _from_table("integer encoder, 4 x 8", encoder())
    for layers, tokens, width in ENCODERS:
        data = transformer(layers, tokens, width).SerializeToString()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(data)
            costs = graph_costs(read_graph(path), {})
        yield Subject(f"float encoder, {layers} layers, {tokens} x {width}", costs, data)


def median_of(runs: list[Measured]) -> Measured:
    """The median of each figure."""
    names = Measured.__slots__
    return Measured(**{name: int(median(getattr(run, name) for run in runs)) for name in names})


def machine(measured: Measured) -> str:
    """What was measured where."""
    giga = 1e9
    return (
        f"{os.cpu_count()} cores, one thread, Python {platform.python_version()}, ONNX Runtime "
        f"{onnxruntime.__version__}, load average {os.getloadavg()[0]:.1f}. Capacity, median of "
        f"{ROUNDS}: {measured.float32_rate / giga:.0f} G multiply-adds/s in float32, "
        f"{measured.float64_rate / giga:.0f} in float64, {measured.int8_rate / giga:.0f} in int8; "
        f"{measured.memory_bandwidth / giga:.1f} GB/s; "
        f"{measured.overhead_picoseconds / 1e3:.0f} ns a node."
    )


def predictions(found: list[Subject], measured: Measured) -> str:
    """Table of predicted and measured times of whole models."""
    able = _capacity(measured, 1.0)
    lines = [
        "| model | nodes | predicted | measured | measured / predicted |",
        "|---|--:|--:|--:|--:|",
    ]
    for subject in found:
        predicted = float(able.seconds(subject.costs.operators).sum())
        observed = median(_seconds(subject.model) for _ in range(ROUNDS))
        nodes = sum(one.nodes for one in subject.costs.operators)
        times = f"{predicted * 1e6:,.1f} us | {observed * 1e6:,.1f} us"
        lines.append(f"| {subject.name} | {nodes} | {times} | {observed / predicted:.2f} |")
    return "\n".join(lines)


def gaps(found: list[Subject], sizes: Sequence[int]) -> str:
    """Table of gaps of plans for made-up swarms, and how long planning took."""
    heads = "| model | miners | replicas | objective | shards | optimal | gap | planned in |"
    lines = [heads, "|---|--:|--:|---|--:|---|--:|--:|"]
    for subject, count, replicas, objective in product(found, sizes, REPLICAS, Objective):
        begin = time.perf_counter()
        made = plan(subject.costs, _swarm(count), Wish(objective, None, replicas))
        spent = time.perf_counter() - begin
        shape = f"{len(made.stages)} | {'yes' if made.optimal else 'no'} | {made.gap:.1%}"
        start = f"| {subject.name} | {count} | {replicas} | {objective.value}"
        lines.append(f"{start} | {shape} | {spent:.2f} s |")
    return "\n".join(lines)


def _from_table(name: str, table: Table) -> Subject:
    ends = table.crossing(0), table.crossing(len(table.rows))
    whole = Shard(0, len(table.rows), *ends)
    return Subject(name, table_costs(table), runtime_model(table, whole))


def _seconds(model: bytes) -> float:
    ready = session(model)
    feeds = {one.name: _zeros(one.shape) for one in ready.get_inputs()}
    ready.run(None, feeds)
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < LEAST_SECONDS:
        ready.run(None, feeds)
        count += 1
    return (time.perf_counter() - begin) / count


def _zeros(shape: list[Any]) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def _capacity(measured: Measured, share: float) -> Capacity:
    rates = {kind: getattr(measured, f"{kind.value}_rate") * share for kind in Arithmetic}
    bandwidth = measured.memory_bandwidth * share
    return Capacity(rates, bandwidth, measured.overhead_picoseconds / share / 1e12, 1 << 33)


def _swarm(count: int) -> Swarm:
    """Miners of unlike speed at up to ten sites: 0.2 ms inside a site, 10 to 55 ms between."""
    random = np.random.default_rng(count)
    base = Measured(5 * 10**10, 25 * 10**9, 10**11, 2 * 10**10, 500_000, 0)
    miners = tuple(
        Miner(f"m{number}", _capacity(base, float(random.uniform(0.1, 2))), f"{number % 10}")
        for number in range(count)
    )

    def link(one: Miner, other: Miner) -> Link:
        apart = abs(int(one.site) - int(other.site))
        return Link(10e-3 + 5e-3 * apart, 1e7) if apart else Link(2e-4, 1e9)

    return Swarm(miners, link)


if __name__ == "__main__":
    main()
