"""MiniLM cut into 1, 2, 3 and 6 shards: `python -m benchmarks.sharded`, needs requirements/train.

Each network has four miners a shard, two oracles and a chain with 1 s blocks, each a process of
its own on this machine; every answer is held against the whole model's. Beside them stand the same
shards one after the other in one process, and the whole model as a plain ONNX Runtime session.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.latency import POLL, percentile
from benchmarks.minilm import milliseconds
from nesa.cli import compiling
from nesa.client.cards import Model
from nesa.client.client import Client
from nesa.devnet.network import COMMITTEE, Devnet, DevnetSettings, prepare, running_devnet
from nesa.models.description import read_description
from nesa.models.folder import CompiledModel, save
from nesa.models.lowering import runtime_model
from nesa.models.measuring import integer_outputs
from nesa.models.runtime import ShardRunner, run_all
from nesa.protocol.ids import ONE_NES, Amount
from scripts import minilm

RESULTS: Final = Path(__file__).parent / "results" / "sharded.md"
SHARDS: Final = (1, 2, 3, 6)
TOKENS: Final = 64


@dataclass(frozen=True, slots=True)
class Served:
    """What a network of `shards` did: seconds of queries asked alone, answers a second with
    several under way, and the most memory that a miner took."""

    shards: int
    alone: tuple[float, ...]
    rate: float
    resident_bytes: int
    boundary_bytes: int
    process_ms: float


def compiled(folder: Path) -> CompiledModel:
    """MiniLM, measured on the handbook's queries, in one shard."""
    minilm.write_float_model(TOKENS, folder)
    model, _ = compiling.compile_from_files(
        (folder / "model.onnx").read_bytes(),
        compiling.read_data(folder / "data.npz"),
        read_description(folder / "words.json"),
        compiling.Plan(percentile=100.0),
    )
    return model


def process_ms(model: CompiledModel, rounds: int) -> float:
    """Milliseconds of all shards one after the other, boundaries encoded and checked."""
    facts = enumerate(model.shards)
    runners = [ShardRunner(model.shard_file(number), shard) for number, shard in facts]
    data = model.input_edge.encode(model.test_rows().inputs[0])
    spent = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        run_all(runners, (data,))
        spent.append(time.perf_counter() - began)
    return median(spent[1:]) * 1e3


async def serve(model: CompiledModel, folder: Path, queries: int, under_way: int) -> Served:
    """Ask a network about the test rows, one by one and then several at once."""
    shards = len(model.shards)
    save(model, folder)
    settings = DevnetSettings(
        Path(tempfile.mkdtemp(prefix="nesa-sharded-")),
        miners=max(8, COMMITTEE * shards),
        seated=(model.name,),
        models=(folder,),
    )
    async with (
        running_devnet(settings, print) as devnet,
        Client.connect(devnet.network, policy=POLL) as client,
    ):
        await client.allow(Amount(3_000 * ONE_NES))
        asking = Asking(client, await client.model(model.name), model)
        await asking.ask(0)
        alone = [await asking.ask(row) for row in range(queries)]
        gate = asyncio.Semaphore(under_way)

        async def one(row: int) -> None:
            async with gate:
                await asking.ask(row)

        began = time.monotonic()
        await asyncio.gather(*(one(row) for row in range(queries, 3 * queries)))
        rate = 2 * queries / (time.monotonic() - began)
        largest = max(resident_bytes(devnet, miner.name) for miner in devnet.miners)
    boundaries = [sum(edge.nbytes for edge in shard.input_edges) for shard in model.shards[1:]]
    return Served(
        shards, tuple(alone), rate, largest, max(boundaries, default=0), process_ms(model, 50)
    )


class Asking:
    """Asks about test rows; what must come out is computed before, to leave the cores alone."""

    def __init__(self, client: Client, offered: Model, model: CompiledModel) -> None:
        self._client, self._offered, self._model = client, offered, model
        self._rows = model.test_rows()
        self._expected = integer_outputs(model.table, self._rows.inputs)

    async def ask(self, row: int) -> float:
        """Seconds of one query."""
        began = time.monotonic()
        answer = await self._client.ask(self._offered, self._rows.features[row])
        seconds = time.monotonic() - began
        if not (answer.output.integers == self._expected[row]).all():
            raise AssertionError(f"row {row}: the answer is not the model's")
        return seconds


def resident_bytes(devnet: Devnet, name: str) -> int:
    """The most memory that a process of the network has taken so far."""
    status = Path(f"/proc/{devnet.supervisor.running[name].pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


def table(model: CompiledModel, served: Sequence[Served], under_way: int) -> str:
    """The page."""
    onnx = runtime_model(model.table, model.table.shards[0])
    ids = model.test_rows().inputs[:1].reshape(model.input_edge.shape).astype("float32")
    plain = milliseconds(onnx, ids, 1, 50)
    lines = [
        "# MiniLM on a network",
        "",
        f"all-MiniLM-L6-v2 in integers, {TOKENS} tokens, AGREED with {COMMITTEE} members a shard,"
        f" 1 s blocks, all processes on one machine with {os.cpu_count()} cores (load"
        f" {os.getloadavg()[0]:.1f} at the end). Every answer was the whole model's, byte for byte."
        " Written by `python -m benchmarks.sharded`.",
        "",
        f"One plain ONNX Runtime process, one thread: {plain:.1f} ms a sentence,"
        f" {1e3 / plain:.0f} sentences a second.",
        "",
        "| shards | miners | largest boundary | shards in one process | query alone, p50 | p95 "
        f"| with {under_way} under way | largest miner |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in served:
        cells = (
            one.shards,
            COMMITTEE * one.shards,
            f"{one.boundary_bytes / 1024:.1f} KiB",
            f"{one.process_ms:.1f} ms",
            *(f"{percentile(one.alone, share):.2f} s" for share in (50, 95)),
            f"{one.rate:.2f} queries/s",
            f"{one.resident_bytes / 2**20:.0f} MiB",
        )
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


async def measure(queries: int, under_way: int) -> str:
    """All networks, one after the other."""
    with tempfile.TemporaryDirectory() as scratch:
        whole = compiled(Path(scratch) / "float")
        await prepare(print, (whole.name,))
        served = []
        for shards in SHARDS:
            cut = whole if shards == 1 else compiling.recut(whole, shards)
            served.append(await serve(cut, Path(scratch) / str(shards), queries, under_way))
            print(served[-1], flush=True)
        return table(whole, served, under_way)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--queries", type=int, default=20, help="asked alone, twice as many at once"
    )
    parser.add_argument("--under-way", type=int, default=16, help="queries at once")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    chosen = parser.parse_args()
    page = asyncio.run(measure(chosen.queries, chosen.under_way))
    if chosen.write:
        RESULTS.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
