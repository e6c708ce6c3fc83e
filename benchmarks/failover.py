"""What a miner that dies costs those who ask: `python -m benchmarks.failover`.

Eight miners, two oracles and a chain with 1 s blocks, each a process of its own on this machine.
In every second query a random one of the eight is killed with SIGKILL at a random moment between
the request and the time that a query takes, and started again behind it; the queries between them
are the comparison. Every answer is held against the reference.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.latency import MODELS, POLL, check, percentile
from nesa.client.client import Client
from nesa.devnet.network import Devnet, DevnetSettings, prepare, running_devnet
from nesa.devnet.operators import wait_until_ready
from nesa.models.folder import CompiledModel, load

RESULTS: Final = Path(__file__).parent / "results" / "failover.md"
MODEL: Final = "breast-cancer-mlp"
LATEST_KILL: Final = 2.0
"""Seconds after the request; a query takes about as long."""


async def ask(
    client: Client, model: CompiledModel, row: int, devnet: Devnet, chance: random.Random | None
) -> float:
    """Seconds of one query; with `chance` a miner dies in the middle of it."""
    offered = await client.model(model.name)
    began = time.monotonic()
    submitted = await client.submit(offered, model.test_rows().features[row])
    victim = None if chance is None else chance.choice(devnet.miners)
    if chance is not None and victim is not None:
        await asyncio.sleep(chance.uniform(0.0, LATEST_KILL))
        await devnet.supervisor.kill(victim.name)
    answer = await client.result(submitted)
    seconds = time.monotonic() - began
    check(model, row, answer)
    if victim is not None:
        await devnet.founder.start(victim)
        await wait_until_ready([victim], devnet.supervisor)
    return seconds


async def measure(queries: int, seed: int) -> tuple[list[float], list[float]]:
    """Seconds of `queries` queries with nobody and as many with somebody killed, in turns."""
    model, chance = load(MODELS / MODEL), random.Random(seed)
    await prepare(print, (MODEL,))
    folder = Path(tempfile.mkdtemp(prefix="nesa-failover-"))
    settings = DevnetSettings(folder, seated=(MODEL,))
    calm: list[float] = []
    killed: list[float] = []
    async with (
        running_devnet(settings, print) as devnet,
        Client.connect(devnet.network, policy=POLL) as client,
    ):
        await ask(client, model, 0, devnet, None)
        for number in range(queries):
            calm.append(await ask(client, model, number % 100, devnet, None))
            killed.append(await ask(client, model, number % 100, devnet, chance))
            print(f"{number + 1} of {queries}: {calm[-1]:.1f} s, {killed[-1]:.1f} s", flush=True)
    return calm, killed


def table(calm: Sequence[float], killed: Sequence[float]) -> str:
    """The page."""
    lines = [
        "# What a dead miner costs",
        "",
        f"{MODEL}, AGREED, eight miners (two shards of four), 1 s blocks, one machine with"
        f" {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f} at the end). One of the eight is"
        " killed at a random moment of a query. Every answer came and was the reference's, byte for"
        " byte. Written by `python -m benchmarks.failover`.",
        "",
        "| | queries | answered | p50 | p95 | slowest |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, walls in (("nobody dies", calm), ("one of eight dies", killed)):
        cells = [f"{percentile(walls, share):.2f} s" for share in (50, 95, 100)]
        lines.append(f"| {name} | {len(walls)} | {len(walls)} | {' | '.join(cells)} |")
    extra = [
        f"{percentile(killed, share) - percentile(calm, share):+.2f} s" for share in (50, 95, 100)
    ]
    lines.append(f"| extra | | | {' | '.join(extra)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description="Kills a miner in every second query.")
    parser.add_argument("--queries", type=int, default=50, help="queries of each kind")
    parser.add_argument("--seed", type=int, default=1, help="who dies when")
    chosen = parser.parse_args()
    page = table(*asyncio.run(measure(chosen.queries, chosen.seed)))
    RESULTS.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
