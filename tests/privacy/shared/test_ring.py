"""Whole shares in Z_2^32, and Beaver triples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.privacy.shared.ring import (
    Triple,
    drawn,
    from_ring,
    product,
    ring_product,
    share_of_product,
    to_ring,
)
from nesa.protocol.errors import InvalidTensor, ReusedRandomness

SIZES = st.tuples(*(st.integers(1, 6) for _ in range(3)))


def modulo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The product of numbers modulo 2**32 in Python's integers."""
    whole = left.astype(object) @ right.astype(object)
    return np.array(whole % 2**32, dtype=np.uint64).astype(np.uint32)


@settings(max_examples=30)
@given(SIZES, st.integers(0, 2**32 - 1))
def test_a_product_with_weights_is_exact(sizes, seed):
    generator = np.random.default_rng(seed)
    left = generator.integers(0, 2**32, sizes[:2], np.uint32)
    right = generator.integers(-(2**20), 2**20, sizes[1:])
    assert np.array_equal(product(left, right), modulo(left, right))


@settings(max_examples=30)
@given(SIZES, st.integers(0, 2**32 - 1))
def test_a_product_of_two_elements_is_exact(sizes, seed):
    generator = np.random.default_rng(seed)
    left = generator.integers(0, 2**32, sizes[:2], np.uint32)
    right = generator.integers(0, 2**32, sizes[1:], np.uint32)
    assert np.array_equal(ring_product(left, right), modulo(left, right))


def test_long_sums_are_split():
    """Without the split 17,000 products of the largest factors pass 2**53."""
    left = np.full((1, 17_001), 2**32 - 1, np.uint32)
    right = np.full((17_001, 1), 127)
    assert np.array_equal(product(left, right), modulo(left, right))


def test_factors_that_leave_no_room_are_refused():
    with pytest.raises(InvalidTensor, match="ring_product"):
        product(np.ones((1, 1), np.uint32), np.array([[2**22]]))


def test_signed_integers_come_back():
    values = np.array([-(2**31), -1, 0, 2**31 - 1])
    assert np.array_equal(from_ring(to_ring(values)), values)


@pytest.mark.parametrize("front", [(), (1, 12)])
def test_shares_of_a_triples_product_add_up(front):
    generator = np.random.default_rng(0)
    left = generator.integers(-127, 128, (*front, 5, 32))
    right = generator.integers(-127, 128, (*front, 32, 7))
    triple = Triple(left.shape, right.shape)
    masked = triple.mask(left, right)
    first = share_of_product(triple.shares[0], masked, is_first=True)
    second = share_of_product(triple.shares[1], masked, is_first=False)
    assert np.array_equal(from_ring(first + second), left @ right)


def test_a_triple_masks_one_pair_only():
    triple = Triple((2, 3), (3, 2))
    triple.mask(np.zeros((2, 3), np.int64), np.zeros((3, 2), np.int64))
    with pytest.raises(ReusedRandomness, match="deal another"):
        triple.mask(np.ones((2, 3), np.int64), np.ones((3, 2), np.int64))


def test_drawn_elements_differ():
    assert not np.array_equal(drawn((64,)), drawn((64,)))
