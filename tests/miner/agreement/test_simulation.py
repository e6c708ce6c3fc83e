"""Committees of four with one liar, a bad network and crashes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nesa.protocol.evidence import verify_evidence
from nesa.protocol.messages import Lock, Reveal
from nesa_miner.agreement import Dissent, Equivocated
from tests.miner.agreement.committees import (
    CONTEXT,
    RIGHT,
    WRONG,
    Node,
    World,
    address,
    digest_of,
    honest,
    random_route,
    start,
)
from tests.miner.agreement.liars import LIES

MEMBERS = [address(position) for position in range(4)]
QUIET = 8.0
END = 200.0

worlds = st.fixed_dictionaries(
    {
        "lie": st.sampled_from([None, "wrong result", *LIES]),
        "liar": st.integers(0, 3),
        "seed": st.integers(0, 2**16),
        "slowest": st.sampled_from([0.05, 0.5, 2.0]),
        "loss": st.sampled_from([0.0, 0.1, 0.4]),
        "starts": st.lists(st.floats(0, 2.0), min_size=4, max_size=4),
        "crashes": st.dictionaries(st.integers(0, 3), st.integers(0, 25), max_size=3),
    }
)


def play(case: dict) -> tuple[World, list[Node]]:
    """The world after everything has happened, and its honest members."""
    world = World([honest(position) for position in range(4)])
    world._route = random_route(case["seed"], case["slowest"], case["loss"], QUIET, world)
    liar = case["liar"] if case["lie"] else None
    for position, node in world.nodes.items():
        wrong = position == liar and case["lie"] in ("wrong result", "noise")
        world.at(case["starts"][position], position, start(position, WRONG if wrong else RIGHT))
        if position != liar:
            node.crash_in = case["crashes"].get(position)
        elif case["lie"] != "wrong result":
            node.tamper = LIES[case["lie"]](case["seed"])
    good = [node for position, node in world.nodes.items() if position != liar]
    world.run(END, lambda _: all(node.settled for node in good))
    return world, good


def assert_safe(good: Iterable[Node]) -> None:
    """What must hold at any time, whatever the network and one liar do."""
    for node in good:
        locks = {
            (m.round, m.set_digest)
            for m in node.sent
            if isinstance(m, Lock) and m.position == node.me
        }
        assert len(locks) == len({round_ for round_, _ in locks})
        opened = {
            m.out_digest for m in node.sent if isinstance(m, Reveal) and m.position == node.me
        }
        assert opened <= {digest_of((RIGHT,))}
        if node.settled is not None:
            assert node.settled.out_digest == digest_of((RIGHT,))
            verify_evidence(CONTEXT, MEMBERS, 4, node.settled)


def assert_nobody_honest_is_named(good: list[Node]) -> None:
    places = {node.me for node in good}
    for node in good:
        for action in node.actions:
            if isinstance(action, Dissent | Equivocated):
                assert action.position not in places


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds)
def test_one_liar_can_neither_mislead_nor_stop_a_committee(case: dict) -> None:
    _, good = play(case)
    assert_safe(good)
    assert_nobody_honest_is_named(good)
    assert all(node.settled for node in good), [node.state.round for node in good]


@pytest.mark.deep
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds)
def test_one_liar_can_neither_mislead_nor_stop_a_committee_in_long_runs(case: dict) -> None:
    _, good = play(case)
    assert_safe(good)
    assert_nobody_honest_is_named(good)
    assert all(node.settled for node in good), [node.state.round for node in good]


@pytest.mark.parametrize("member", range(4))
@pytest.mark.parametrize("point", range(14))
def test_a_crash_at_any_action_costs_no_answer(member: int, point: int) -> None:
    case = {
        "lie": None,
        "liar": 0,
        "seed": 0,
        "slowest": 0.005,
        "loss": 0.0,
        "starts": [0.0] * 4,
        "crashes": {member: point},
    }
    _, good = play(case)
    assert_safe(good)
    assert all(node.settled for node in good)


@pytest.mark.parametrize("liar", range(4))
@pytest.mark.parametrize("lie", ["wrong result", *LIES])
def test_every_lie_alone_on_a_good_network(lie: str, liar: int) -> None:
    case = {
        "lie": lie,
        "liar": liar,
        "seed": 3,
        "slowest": 0.005,
        "loss": 0.0,
        "starts": [0.0] * 4,
        "crashes": {},
    }
    _, good = play(case)
    assert_safe(good)
    assert all(node.settled for node in good)
