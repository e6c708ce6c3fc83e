"""The simulated network obeys what it is made of: blocks, links, processors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale import Assumptions, Chain, Costs, Resource, Simulation, Workload, saturate

TERMS = Assumptions()
COSTS = Costs(message=1e-3, hop_fixed=4e-3, hop_per_byte=5e-8)
WORK = Workload("two stages", (0.01, 0.02), (1024,))


def test_an_idle_network_answers_within_the_blocks_and_links_that_it_needs() -> None:
    found = Simulation(10, WORK, COSTS, TERMS).run(50, 0.01)
    assert len(found.latencies) == 50
    least = 2 * TERMS.block_seconds  # the seed block, and the one of the report
    most = 4 * TERMS.block_seconds + sum(WORK.stages) + 12 * TERMS.delays[1] + 1.0
    assert all(least < latency < most for latency in found.latencies)


def test_the_same_seed_gives_the_same_run() -> None:
    runs = [Simulation(100, WORK, COSTS, TERMS, seed=5).run(40, 2.0) for _ in range(2)]
    assert runs[0] == runs[1]


def test_nothing_is_done_twice_at_once() -> None:
    resource = Resource()
    assert [resource.take(now, 2.0) for now in (0.0, 1.0, 9.0)] == [2.0, 4.0, 11.0]
    assert resource.busy == 6.0


def test_a_block_takes_so_much_gas() -> None:
    chain = Chain(replace(TERMS, block_gas=100, block_seconds=2.0))
    assert [chain.include(0.5, 40) for _ in range(3)] == [2.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("terms", "work", "costs", "name"),
    [
        (replace(TERMS, block_gas=2 * TERMS.gas), WORK, COSTS, "block gas"),
        (replace(TERMS, uplink=1e5), replace(WORK, boundaries=(1 << 20,)), COSTS, "uplinks"),
        (TERMS, replace(WORK, stages=(1.0, 1.0)), COSTS, "processors"),
    ],
)
def test_what_is_scarce_gives_out(
    terms: Assumptions, work: Workload, costs: Costs, name: str
) -> None:
    _, most = saturate(10, work, costs, terms, 40)
    assert most.bottleneck == name
    assert most.answered <= terms.block_gas / terms.block_seconds / terms.gas * 1.05
