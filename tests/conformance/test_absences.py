"""The contracts and the protocol agree on who fills which slot."""

import boa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.ids import Address, QueryId, Timestamp
from nesa.protocol.summons import (
    MAX_ABSENCES,
    Absence,
    pack_absences,
    slot_of,
    unpack_absences,
    work_id,
)
from tests.deployment import load_harness

SETTINGS = settings(max_examples=12, deadline=None)

ABSENCES = st.lists(
    st.builds(Absence, slot=st.integers(0, 7), since=st.integers(0, 2**32 - 1).map(Timestamp)),
    max_size=MAX_ABSENCES,
)


@pytest.fixture(scope="module")
def harness():
    return load_harness("AbsenceHarness")


@SETTINGS
@given(absences=ABSENCES)
def test_the_words_of_absences_agree(harness, absences):
    word = 0
    for absence in absences:
        word = harness.with_entry(word, absence.slot, absence.since)
    assert word == pack_absences(absences)
    assert unpack_absences(word) == tuple(absences)
    assert harness.count(word) == len(absences)
    slots = [absence.slot for absence in absences]
    for spare, absence in enumerate(absences):
        assert harness.slot(word, spare) == absence.slot == slot_of(4 + spare, 4, slots)
        assert harness.since(word, spare) == absence.since


@SETTINGS
@given(absences=ABSENCES, spare=st.integers(0, 2**256 - 1))
def test_a_spare_without_a_slot_has_none(harness, absences, spare):
    word = pack_absences(absences)
    if spare >= len(absences):
        with boa.reverts():
            harness.slot(word, spare)


def test_a_full_word_takes_no_more(harness):
    word = pack_absences([Absence(0, Timestamp(1))] * MAX_ABSENCES)
    with boa.reverts("absence: no more spares"):
        harness.with_entry(word, 0, 1)


@SETTINGS
@given(numbers=st.tuples(*[st.integers(0, 2**64)] * 3), market=st.binary(min_size=20, max_size=20))
def test_the_keys_of_committees_agree(harness, numbers, market):
    address = Address("0x" + market.hex())
    query_id, *rest = numbers
    assert harness.work_id(address, *numbers) == work_id(address, QueryId(query_id), *rest)
