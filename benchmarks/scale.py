"""What saturates first when a network grows: `python -m benchmarks.scale`.

A discrete-event simulation of 10 to 10,000 miners over wide-area links. What a member does is
measured on this machine at the start: the stages of each model in `models/`, sealing and opening an
envelope, and a hop between two shards for three sizes. What is assumed is in `Assumptions`.

A query is asked in one block, drawn with the next, run shard after shard by committees of four, and
reported into a block that has gas left. A miner does one thing at a time; so does its uplink.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks import hops
from benchmarks.latency import percentile
from nesa.models.folder import CompiledModel, load
from nesa.models.reference import run
from nesa.models.runtime import ShardRunner
from nesa.privacy.envelopes import Receiver, ReplayWindow, open_envelope, seal_envelope
from nesa.protocol.commitments import ShardContext, quorum
from nesa.protocol.ids import QueryId, Timestamp
from nesa.protocol.messages import MAX_CARRIED_BYTES, Inquiry

RESULTS: Final = Path(__file__).parent / "results" / "scale.md"
MODELS: Final = Path(__file__).parents[1] / "models"
SIZES: Final = (10, 100, 1_000, 10_000)
REPLICAS: Final = 4
SECONDS: Final = 120.0
"""Simulated time of a run, so that what piles up shows."""

ROUND_MESSAGES: Final = 5
"""Messages that a member sends to each other one: commit, proposal, lock, certificate, reveal."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not measured here: chain, links and how long a query may take.

    `gas` of a request and a report of two shards is from `results/latency.md`. One-way delays are
    drawn evenly, in seconds; `uplink` is in bytes a second.
    """

    gas: int = 134_907 + 235_723
    block_gas: int = 30_000_000
    block_seconds: float = 2.0
    delays: tuple[float, float] = (0.010, 0.120)
    uplink: float = 100e6 / 8
    patience: float = 2.0
    """A rate is too high when the 95th percentile is so many times that of an idle network."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of a member's processor: one sealed message at one end, and a hop of `size` bytes."""

    message: float
    hop_fixed: float
    hop_per_byte: float

    def hop(self, size: int) -> float:
        """Processor seconds of a hop, at each end."""
        return self.hop_fixed + self.hop_per_byte * size


@dataclass(frozen=True, slots=True)
class Workload:
    """A model: seconds of each stage, and bytes between each and the next."""

    name: str
    stages: tuple[float, ...]
    boundaries: tuple[int, ...]


@dataclass(slots=True)
class Resource:
    """Something that does one thing at a time, in the order in which it is asked."""

    free_at: float = 0.0
    busy: float = 0.0

    def take(self, now: float, seconds: float) -> float:
        """When `seconds` of work that come now are done."""
        self.free_at = max(self.free_at, now) + seconds
        self.busy += seconds
        return self.free_at


@dataclass(slots=True)
class Miner:
    """A member's processor and its uplink."""

    processor: Resource = field(default_factory=Resource)
    uplink: Resource = field(default_factory=Resource)


@dataclass(slots=True)
class Chain:
    """Blocks of bounded gas: `used` by number."""

    terms: Assumptions
    used: dict[int, int] = field(default_factory=dict)

    def include(self, now: float, gas: int) -> float:
        """When a transaction that is sent now is in a block."""
        number = int(now // self.terms.block_seconds) + 1
        while self.used.get(number, 0) + gas > self.terms.block_gas:
            number += 1
        self.used[number] = self.used.get(number, 0) + gas
        return number * self.terms.block_seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run: queries asked and answered a second; utilisations are shares of the
    time until the last answer.
    """

    rate: float
    answered: float
    latencies: tuple[float, ...]
    use: dict[str, float]
    processor_seconds: float
    uplink_bytes: float

    @property
    def bottleneck(self) -> str:
        """What is used most."""
        return max(self.use, key=lambda name: self.use[name])


class Simulation:
    """One network under one load. Everything random comes from `seed`."""

    def __init__(
        self, miners: int, work: Workload, costs: Costs, terms: Assumptions, seed: int = 1
    ) -> None:
        self._work, self._costs, self._terms = work, costs, terms
        self._chance = random.Random(seed)
        self._miners = [Miner() for _ in range(miners)]
        self._chain = Chain(terms)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()
        self._latencies: list[float] = []
        self._bytes = 0.0

    def run(self, queries: int, rate: float) -> Outcome:
        """Ask `queries` queries at `rate` a second, at random moments."""
        asked = 0.0
        for _ in range(queries):
            asked += self._chance.expovariate(rate)
            self._at(asked, self._request)
        now = 0.0
        while self._events:
            now, _, happen = heapq.heappop(self._events)
            happen(now)
        return self._outcome(rate, now)

    def _at(self, when: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), happen))

    def _request(self, asked: float) -> None:
        half = self._terms.gas // 2
        drawn = self._chain.include(asked, half) + self._terms.block_seconds
        self._at(drawn, lambda now: self._begin(asked, 0, [now] * REPLICAS, self._drawn(0)))

    def _drawn(self, shard: int) -> list[Miner]:
        """A committee among the miners with a seat in this shard."""
        seats = self._miners[shard :: len(self._work.stages)]
        return self._chance.sample(seats, min(REPLICAS, len(seats)))

    def _begin(
        self, asked: float, shard: int, ready: Sequence[float], members: list[Miner]
    ) -> None:
        """Members run their shard, each when its input is there."""
        stage, done = self._work.stages[shard], []

        def ran(now: float) -> None:
            done.append(now)
            if len(done) == len(members):
                self._agree(asked, shard, done, members)

        def begun(member: Miner) -> Callable[[float], None]:
            return lambda now: self._at(member.processor.take(now, stage), ran)

        for member, since in zip(members, ready, strict=False):
            self._at(since, begun(member))

    def _agree(self, asked: float, shard: int, done: Sequence[float], members: list[Miner]) -> None:
        """Commit, propose, lock and reveal: each waits for the slowest link of a quorum."""
        needed, when = quorum(len(members)), max(done)
        others = len(members) - 1
        for member in members:
            member.processor.take(when, 2 * ROUND_MESSAGES * others * self._costs.message)
        for _ in range(4):
            delays = sorted(self._delay() for _ in members)
            when += delays[needed - 1]
        settled = max([when, *(one.processor.free_at for one in members[:needed])])
        if shard + 1 == len(self._work.stages):
            self._at(settled, lambda now: self._report(asked, now))
        else:
            self._at(settled, lambda now: self._hand_over(asked, shard, now, members))

    def _hand_over(self, asked: float, shard: int, now: float, members: list[Miner]) -> None:
        """Each member of the next shard gets the tensors from one of this one."""
        size, following = self._work.boundaries[shard], self._drawn(shard + 1)
        ready = []
        for number, receiver in enumerate(following):
            sender = members[number % len(members)]
            began = sender.processor.take(now, self._costs.hop(size) / 2)
            sent = sender.uplink.take(began, size / self._terms.uplink)
            trips = 1 if size <= MAX_CARRIED_BYTES else 3
            arrived = sent + trips * self._delay()
            ready.append(receiver.processor.take(arrived, self._costs.hop(size) / 2))
            self._bytes += size
        self._begin(asked, shard + 1, ready, following)

    def _report(self, asked: float, now: float) -> None:
        included = self._chain.include(now + self._delay(), self._terms.gas // 2)
        self._latencies.append(included - asked)

    def _delay(self) -> float:
        return self._chance.uniform(*self._terms.delays)

    def _outcome(self, rate: float, end: float) -> Outcome:
        queries, miners = len(self._latencies), len(self._miners)
        busy = sum(miner.processor.busy for miner in self._miners)
        sent = sum(miner.uplink.busy for miner in self._miners)
        blocks = max(end / self._terms.block_seconds, 1.0)
        use = {
            "processors": busy / miners / end,
            "uplinks": sent / miners / end,
            "block gas": sum(self._chain.used.values()) / blocks / self._terms.block_gas,
        }
        return Outcome(
            rate, queries / end, tuple(self._latencies), use, busy / queries, self._bytes / queries
        )


def saturate(
    miners: int, work: Workload, costs: Costs, terms: Assumptions, queries: int
) -> tuple[Outcome, Outcome]:
    """An idle network, and the highest rate (to an eighth) that it bears."""
    idle = Simulation(miners, work, costs, terms).run(queries, 0.05)
    limit = terms.patience * percentile(idle.latencies, 95)
    low, high = idle, None
    rate = 0.5
    while high is None or high - low.rate > low.rate / 8:
        found = Simulation(miners, work, costs, terms).run(max(queries, int(SECONDS * rate)), rate)
        if percentile(found.latencies, 95) <= limit:
            low, rate = found, 2 * rate if high is None else (rate + high) / 2
        else:
            high, rate = rate, (low.rate + rate) / 2
    return idle, low


def measured_stage(model: CompiledModel, runs: int = 200) -> tuple[float, ...]:
    """Median seconds of each shard of a model in ONNX Runtime."""
    edge, found = model.input_edge, []
    tensors: Sequence[bytes] = (edge.encode(model.test_rows().inputs[0].reshape(edge.shape)),)
    expected = run(model.table, tensors)
    for number, facts in enumerate(model.shards):
        runner, seconds = ShardRunner(model.shard_file(number), facts), []
        for _ in range(runs):
            began = time.perf_counter()
            result = runner.run(tensors)
            seconds.append(time.perf_counter() - began)
        tensors = result
        found.append(statistics.median(seconds))
    if tuple(tensors) != expected:
        raise AssertionError(f"{model.name}: the shards do not compute the model")
    return tuple(found)


def workload(path: Path) -> Workload:
    """A compiled model as it runs on this machine."""
    model = load(path)
    edges = [facts.output_edges for facts in model.shards[:-1]]
    sizes = tuple(sum(edge.nbytes for edge in shard) for shard in edges)
    return Workload(model.name, measured_stage(model), sizes)


def measured_costs(runs: int) -> Costs:
    """Envelopes and hops on this machine; a hop's share that grows is read off the two ends."""
    found = {size: statistics.median(times) for size, times in hops.measure(runs).items()}
    small, large = min(found), max(found)
    per_byte = (found[large] - found[small]) / (large - small)
    return Costs(measured_message(), found[small] - per_byte * small, per_byte)


def measured_message(runs: int = 300) -> float:
    """Median seconds at one end: half of sealing and opening a short message."""
    sender, receiver = hops.identity(0, 0), hops.identity(1, 0)
    context = ShardContext(31337, hops.DEPLOYMENT.market, QueryId(1), 0, hops.SEED, 0)
    target = Receiver(receiver.address, receiver.encryption.public_key())
    window, seconds = ReplayWindow(), []
    for number in range(runs):
        began = time.perf_counter()
        sealed = seal_envelope(
            Inquiry(context, number), deployment=hops.DEPLOYMENT, signer=sender.signer,
            receiver=target, nonce=os.urandom(16), deadline=Timestamp(1_060),
        )  # fmt: skip
        open_envelope(
            sealed, deployment=hops.DEPLOYMENT, me=receiver.address, key=receiver.encryption,
            window=window, now=Timestamp(1_000),
        )  # fmt: skip
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) / 2


def rows(work: Workload, costs: Costs, terms: Assumptions, queries: int) -> list[str]:
    """One line for each size of the network."""
    lines = []
    for miners in SIZES:
        idle, most = saturate(miners, work, costs, terms, queries)
        use = ", ".join(f"{name} {100 * share:.0f} %" for name, share in most.use.items())
        lines.append(
            f"| {work.name} | {miners:,} | {percentile(idle.latencies, 50):.1f} s"
            f" | {percentile(idle.latencies, 95):.1f} s | {most.answered:.1f} /s"
            f" | {most.bottleneck} | {use} | {1000 * most.processor_seconds:.0f} ms"
            f" | {most.uplink_bytes / 1024:.1f} KiB | {terms.gas:,} |"
        )
        print(lines[-1], flush=True)
    return lines


def table(lines: Sequence[str], costs: Costs, terms: Assumptions) -> str:
    """The page."""
    low, high = (1000 * delay for delay in terms.delays)
    return "\n".join(
        [
            "# What saturates first",
            "",
            "A simulation, written by `python -m benchmarks.scale`. Measured on this machine with"
            f" {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f} at the end): stages,"
            f" {1e6 * costs.message:.0f} us for an envelope at one end, hops of"
            f" {1000 * costs.hop_fixed:.1f} ms and {1e9 * costs.hop_per_byte:.1f} ns a byte."
            f" Assumed: one-way delays of {low:.0f} to {high:.0f} ms, uplinks of"
            f" {8 * terms.uplink / 1e6:.0f} Mbit/s, blocks of {terms.block_gas:,} gas every"
            f" {terms.block_seconds:g} s, nobody else on the chain. A rate is borne while the 95th"
            f" percentile stays below {terms.patience:g} times that of the idle network.",
            "",
            "| model | miners | p50 idle | p95 idle | most queries | what gives out | in use then"
            " | processor a query | between shards | gas a query |",
            "|---|---:|---:|---:|---:|---|---|---:|---:|---:|",
            *lines,
            "",
        ]
    )


def main() -> None:
    """Measure, simulate, print and store."""
    parser = argparse.ArgumentParser(description="Simulates networks of many miners.")
    parser.add_argument("--queries", type=int, default=400, help="fewest queries of a run")
    parser.add_argument("--hops", type=int, default=11, help="measured hops of each size")
    parser.add_argument("--block-seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    terms = Assumptions(block_seconds=chosen.block_seconds)
    costs, lines = measured_costs(chosen.hops), list[str]()
    for path in sorted(path.parent for path in MODELS.glob("*/model.json")):
        lines += rows(workload(path), costs, terms, chosen.queries)
    wide = Workload("4 MiB boundary, no arithmetic", (0.0, 0.0), (4 << 20,))
    lines += rows(wide, costs, terms, chosen.queries)
    page = table(lines, costs, terms)
    RESULTS.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
