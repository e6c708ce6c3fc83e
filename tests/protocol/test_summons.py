"""Who fills which slot of a committee."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.summons import occupants, slot_of


def test_members_fill_their_own_slots() -> None:
    assert occupants(4, ()) == (0, 1, 2, 3)


def test_the_first_spare_takes_the_first_absent_slot() -> None:
    assert occupants(4, (2, 0)) == (5, 1, 4, 3)


def test_a_silent_spare_is_replaced_too() -> None:
    assert occupants(4, (1, 1)) == (0, 5, 2, 3)


def test_there_are_no_more_spares_than_places() -> None:
    assert occupants(7, (1, 2)) == (0, 7, 2, 3, 4, 5, 6)


@given(replicas=st.integers(1, 8), absent=st.lists(st.integers(0, 7), max_size=7))
def test_whoever_fills_a_slot_stands_there(replicas: int, absent: list[int]) -> None:
    slots = [slot % replicas for slot in absent]
    for slot, position in enumerate(occupants(replicas, slots)):
        assert slot_of(position, replicas, slots) == slot
    assert slot_of(replicas + len(slots), replicas, slots) is None
