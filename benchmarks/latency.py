"""From request to delivery on a development network: `python -m benchmarks.latency`.

Eight miners, two oracles and a chain with 1 s blocks, each a process of its own on this machine.
Wall time is what a client waits from the call of `ask` until it holds the answer; chain time is
the difference of the two blocks' timestamps.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from nesa.chain.connection import RpcPolicy
from nesa.client.answers import Answer
from nesa.client.client import Client
from nesa.devnet.network import DevnetSettings, prepare, running_devnet
from nesa.models.folder import CompiledModel, load

RESULTS: Final = Path(__file__).parent / "results" / "latency.md"
MODELS: Final = Path(__file__).parents[1] / "models"
POLL: Final = RpcPolicy(poll=0.1)


@dataclass(frozen=True, slots=True)
class Sample:
    """One answered query."""

    wall: float
    chain: int
    request_gas: int
    fulfil_gas: int


@dataclass(frozen=True, slots=True)
class Series:
    """Queries of one kind, asked one after the other."""

    model: str
    kind: str
    samples: tuple[Sample, ...]

    def __str__(self) -> str:
        walls = [sample.wall for sample in self.samples]
        chains = [sample.chain for sample in self.samples]
        request = statistics.median(sample.request_gas for sample in self.samples)
        fulfil = statistics.median(sample.fulfil_gas for sample in self.samples)
        cells = (
            self.model,
            self.kind,
            len(walls),
            f"{percentile(walls, 50):.1f} s",
            f"{percentile(walls, 95):.1f} s",
            f"{percentile(chains, 50):.0f} s",
            f"{percentile(chains, 95):.0f} s",
            f"{request:,.0f}",
            f"{fulfil:,.0f}",
        )
        return "| " + " | ".join(str(cell) for cell in cells) + " |"


def percentile(values: Sequence[float], share: int) -> float:
    """Smallest value with at least `share` percent of all values at or below it."""
    ordered = sorted(values)
    return ordered[max(-(-share * len(ordered) // 100) - 1, 0)]


async def sample(client: Client, model: CompiledModel, row: int, **how: Any) -> Sample:
    """Ask about one test row.

    Raises:
        AssertionError: the answer is not what the integer model says.
    """
    rows = model.test_rows()
    offered = await client.model(model.name)
    began = time.monotonic()
    answer: Answer = await client.ask(offered, rows.features[row], **how)
    wall = time.monotonic() - began
    check(model, row, answer)
    return Sample(wall, answer.timings.seconds, answer.gas.request or 0, answer.gas.fulfil)


def check(model: CompiledModel, row: int, answer: Answer) -> None:
    """Hold the answer against the reference."""
    from nesa.models.reference import run

    data = model.input_edge.encode(np.asarray(model.test_rows().inputs[row]))
    (expected,) = run(model.table, (data,))
    found = model.output_edge.encode(answer.output.integers)
    if found != expected:
        raise AssertionError(f"{model.name}, row {row}: the answer is not the model's")


async def measure(agreed: int, proved: int) -> list[Series]:
    """All series on one network."""
    mlp, cnn = (load(MODELS / name) for name in ("breast-cancer-mlp", "digits-cnn"))
    await prepare(print)
    folder = Path(tempfile.mkdtemp(prefix="nesa-latency-"))
    async with (
        running_devnet(DevnetSettings(folder), print) as devnet,
        Client.connect(devnet.network, policy=POLL) as client,
    ):
        await sample(client, mlp, 0, assurance="AGREED")
        return [
            await series(client, mlp, "AGREED", agreed, assurance="AGREED"),
            await series(
                client, mlp, "AGREED, sealed", agreed, assurance="AGREED", privacy="sealed"
            ),
            await series(client, mlp, "PROVED", proved, assurance="PROVED"),
            await series(client, cnn, "PROVED", proved, assurance="PROVED"),
        ]


async def series(client: Client, model: CompiledModel, kind: str, count: int, **how: Any) -> Series:
    """`count` queries, each asked when the one before is answered."""
    samples = []
    for number in range(count):
        samples.append(await sample(client, model, number % 100, **how))
        print(f"{model.name} {kind} {number + 1} of {count}: {samples[-1].wall:.1f} s", flush=True)
    return Series(model.name, kind, tuple(samples))


def table(found: Sequence[Series]) -> str:
    """The page."""
    load_average = os.getloadavg()[0]
    lines = [
        "# From request to delivery",
        "",
        "Eight miners (two shards of four), two oracles, 1 s blocks, one machine with"
        f" {os.cpu_count()} cores (load {load_average:.1f} at the end). Queries one after the"
        " other. Written by `python -m benchmarks.latency`.",
        "",
        "| model | query | queries | p50 | p95 | chain time p50 | p95 | gas of the request"
        " | of the report |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        *(str(one) for one in found),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description="Measures queries on a development network.")
    parser.add_argument("--agreed", type=int, default=50, help="AGREED queries of each kind")
    parser.add_argument("--proved", type=int, default=10, help="PROVED queries of each model")
    chosen = parser.parse_args()
    page = table(asyncio.run(measure(chosen.agreed, chosen.proved)))
    RESULTS.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
