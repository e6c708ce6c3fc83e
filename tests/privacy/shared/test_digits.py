"""Shares as digits: exact, uniform, and as wide as float32 allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.models.graph import EXACT_FLOAT32
from nesa.privacy.shared.digits import Digits, digits_for, key_stream
from nesa.protocol.errors import InvalidModel

DIGITS = st.builds(Digits, st.integers(1, 8), st.integers(1, 4))
VALUES = st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=20).map(np.array)


@given(DIGITS, VALUES, st.binary(min_size=32, max_size=32))
def test_two_shares_add_up_to_the_value(digits, values, seed):
    first = key_stream(seed, digits.count * values.size, digits.width).reshape(digits.count, -1)
    second = digits.rest(values, first)
    total = digits.join(first.astype(np.int64) + second)
    assert np.array_equal(total % digits.modulus, values % digits.modulus)


@given(DIGITS, VALUES)
def test_digits_stay_below_their_base(digits, values):
    assert int(digits.split(values).max()) < 1 << digits.width


@given(st.integers(1, EXACT_FLOAT32 - 1), st.integers(1, 2**25))
def test_the_sums_of_the_widest_digits_are_exact_and_known_from_their_residue(weight, span):
    digits = digits_for(weight, span)
    assert weight * ((1 << digits.width) - 1) < EXACT_FLOAT32
    assert digits.width == 8 or weight * ((2 << digits.width) - 1) >= EXACT_FLOAT32
    assert digits.modulus > span >= 1 << digits.width * (digits.count - 1)


def test_weights_that_leave_no_room_for_a_bit_are_refused():
    with pytest.raises(InvalidModel, match="too large for shares"):
        digits_for(EXACT_FLOAT32, 1)


def test_another_seed_gives_another_share():
    assert not np.array_equal(key_stream(bytes(32), 64, 8), key_stream(b"\1" * 32, 64, 8))


def test_the_key_stream_is_that_of_the_standard():
    # RFC 8439, A.1, test vector 1: key, nonce and counter 0.
    start = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
    assert key_stream(bytes(32), 32, 8).tobytes().hex() == start
