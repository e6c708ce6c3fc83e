"""A query on shares beside an open one, on a network of processes: `python -m
benchmarks.privacy.sharing [--runs N]` prints seconds, bytes and gas as a markdown table.

Seconds are medians of the runs, from the call to the answer at the client; blocks come every
second. `prepared` begins when the session is open and its first group has done its part.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from nesa.client.client import Client
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import DevnetSettings, prepare, running_devnet

MODEL: Final = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
RUNS: Final = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """One query: seconds, and what it took. Bytes are those of requests and replies before they
    are sealed; an open query has none of the kind. Gas is the client's and the report's."""

    seconds: float
    sent: int
    received: int
    gas: int


async def asked_openly(client: Client, row: list[float]) -> Measured:
    """An AGREED query that everybody can read."""
    begun = time.perf_counter()
    answer = await client.ask(MODEL.name, row)
    seconds = time.perf_counter() - begun
    return Measured(seconds, 0, 0, (answer.gas.request or 0) + answer.gas.fulfil)


async def asked_on_shares(
    client: Client, shared: SharedPublicModel, row: list[float]
) -> tuple[Measured, Measured]:
    """A query on shares, and the same from when it was prepared."""
    begun = time.perf_counter()
    async with client.shared_session(shared) as session:
        await session.prepare()
        prepared = time.perf_counter()
        result = await session.ask(row)
        ended = time.perf_counter()
    traffic = (result.traffic.sent, result.traffic.received, result.gas)
    return Measured(ended - begun, *traffic), Measured(ended - prepared, *traffic)


async def measure(runs: int) -> dict[str, list[Measured]]:
    """Queries of each kind in turns, on one network."""
    shared = SharedPublicModel.read(MODEL)
    seated = (MODEL.name, shared.first_product)
    rows = shared.public.test_rows().features
    found: dict[str, list[Measured]] = {"open": [], "shares": [], "shares, prepared": []}
    await prepare(print, seated[:1])
    with TemporaryDirectory() as folder:
        settings = DevnetSettings(Path(folder) / "net", seated=seated, shared=(MODEL,))
        async with running_devnet(settings, print) as devnet, Client.connect(devnet.network) as one:
            for run in range(runs + 1):
                row = [float(number) for number in rows[run].reshape(-1)]
                opened = await asked_openly(one, row)
                whole, prepared = await asked_on_shares(one, shared, row)
                if run:  # the first ones load what the others find
                    for kind, measured in zip(found, (opened, whole, prepared), strict=True):
                        found[kind].append(measured)
    return found


def table(found: dict[str, list[Measured]]) -> Sequence[str]:
    """A line for each kind of query."""
    lines = ["| query | seconds | bytes sent | bytes received | gas |", "|---|--:|--:|--:|--:|"]
    for kind, runs in found.items():
        numbers = [median(getattr(one, name) for one in runs) for name in ("sent", "received")]
        bytes_ = [f"{int(number):,}" for number in numbers]
        gas = f"{int(median(one.gas for one in runs)):,}"
        seconds = f"{median(one.seconds for one in runs):.2f}"
        lines.append(f"| {kind} | {seconds} | {' | '.join(bytes_)} | {gas} |")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    found = asyncio.run(measure(parser.parse_args().runs))
    print("\n".join(table(found)))
    print(
        "\nGas on shares: opening; each member's redemption is in benchmarks/results/sessions.md."
    )


if __name__ == "__main__":
    main()
