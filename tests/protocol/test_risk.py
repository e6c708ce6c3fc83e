"""Draws are even, and what they may put into one hand is counted exactly."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from benchmarks.draw import table
from nesa.protocol.commitments import quorum
from nesa.protocol.draw import draw
from nesa.protocol.errors import InvalidInput
from nesa.protocol.risk import ShardSeats, corrupt_seats, draw_risk, proof_stall

DRAWS = 10_000
SEATS, REPLICAS = 20, 4

CHI_SQUARE_19 = 43.8
"""A fair draw of 20 seats exceeds it once in a thousand times."""


@pytest.fixture(scope="module")
def draws() -> list[tuple[int, ...]]:
    seeds = [keccak(number.to_bytes(32, "big")) for number in range(DRAWS)]
    return [draw(seed, 1, SEATS, REPLICAS, lambda slot: True) for seed in seeds]


def chi_square(counts: Counter[int], seats: int, drawn: int) -> float:
    """Of counts in which each seat is drawn at most once a draw (hence the finite correction)."""
    expected = drawn / seats
    correction = (1 - 1 / seats) / (1 - REPLICAS / seats)
    return sum((counts[seat] - expected) ** 2 for seat in range(seats)) / expected * correction


def test_every_seat_is_drawn_as_often_as_its_share(draws):
    counts = Counter(seat for drawn in draws for seat in drawn)
    assert chi_square(counts, SEATS, DRAWS * REPLICAS) < CHI_SQUARE_19


@pytest.mark.parametrize("position", range(REPLICAS))
def test_every_seat_is_as_often_at_every_position(draws, position):
    counts = Counter(drawn[position] for drawn in draws)
    expected = DRAWS / SEATS
    assert sum((counts[seat] - expected) ** 2 for seat in range(SEATS)) / expected < CHI_SQUARE_19


def test_members_of_a_committee_are_distinct(draws):
    assert all(len(set(drawn)) == REPLICAS for drawn in draws)


def test_shards_are_drawn_independently():
    """How often the first members of two shards are the same seat: once in `SEATS` times."""
    same = 0
    for number in range(DRAWS):
        seed = keccak(number.to_bytes(32, "big"))
        first, second = (draw(seed, shard, SEATS, 1, lambda slot: True) for shard in (0, 1))
        same += first == second
    assert same / DRAWS == pytest.approx(1 / SEATS, abs=0.01)


def test_vacant_slots_shift_nobodys_share():
    counts: Counter[int] = Counter()
    for number in range(DRAWS):
        seed = keccak(number.to_bytes(32, "big"))
        counts.update(draw(seed, 0, SEATS, REPLICAS, lambda slot: slot % 2 == 0))
    assert set(counts) == set(range(0, SEATS, 2))
    expected = DRAWS * REPLICAS / 10
    assert max(abs(count - expected) for count in counts.values()) < 0.05 * expected


def test_drawn_committees_are_captured_as_often_as_counted(draws):
    corrupt = 9
    risk = draw_risk([ShardSeats(SEATS, corrupt)], REPLICAS)
    bad = [sum(seat < corrupt for seat in drawn) for drawn in draws]
    captured = sum(number >= quorum(REPLICAS) for number in bad) / DRAWS
    stalled = sum(number > REPLICAS - quorum(REPLICAS) for number in bad) / DRAWS
    assert captured == pytest.approx(float(risk.captured), abs=0.015)
    assert stalled == pytest.approx(float(risk.stalled), abs=0.015)


@pytest.mark.parametrize(("seats", "corrupt", "replicas"), [(7, 3, 4), (8, 2, 4), (9, 5, 7)])
def test_the_risk_of_one_shard_is_the_share_of_bad_committees(seats, corrupt, replicas):
    committees = list(combinations(range(seats), replicas))
    bad = [sum(seat < corrupt for seat in members) for members in committees]
    needed = quorum(replicas)
    risk = draw_risk([ShardSeats(seats, corrupt)], replicas)
    captured = sum(number >= needed for number in bad)
    stalled = sum(replicas - number < needed for number in bad)
    assert risk.captured == Fraction(captured, len(committees))
    assert risk.stalled == Fraction(stalled, len(committees))


def test_more_shards_are_more_places_to_attack():
    one = draw_risk([ShardSeats(30, 6)], 4)
    two = draw_risk([ShardSeats(30, 6)] * 2, 4)
    assert two.captured == 1 - (1 - one.captured) ** 2
    assert two.stalled > one.stalled > one.captured


def test_a_shard_without_corrupt_seats_is_safe_and_one_of_nothing_else_is_not():
    assert draw_risk([ShardSeats(10, 0)], 4).stalled == 0
    assert draw_risk([ShardSeats(10, 10)], 4).captured == 1
    assert proof_stall([ShardSeats(10, 3)], 4) == 0
    assert proof_stall([ShardSeats(4, 2)], 2) == Fraction(1, 6)


def test_the_docs_state_what_is_computed():
    page = Path(__file__).parents[2] / "docs" / "economics.md"
    assert table() in page.read_text(encoding="utf-8")


def test_shares_are_rounded_against_the_client():
    assert corrupt_seats(10, Fraction(1, 3)) == 4
    assert corrupt_seats(9, Fraction(1, 3)) == 3


@pytest.mark.parametrize("shard", [ShardSeats(3, 0), ShardSeats(5, 6), ShardSeats(5, -1)])
def test_impossible_draws_are_refused(shard):
    with pytest.raises(InvalidInput):
        draw_risk([shard], 4)
