"""Parts of any tensors, in any order, are the tensors again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.messages import MAX_CARRIED_BYTES
from nesa_miner.boundaries import Assembly, decode_boundary, encode_boundary, part_at

LENGTHS = st.lists(
    st.sampled_from([1, 255, MAX_CARRIED_BYTES - 1, MAX_CARRIED_BYTES, 2 * MAX_CARRIED_BYTES + 3]),
    min_size=1,
    max_size=4,
)


@settings(max_examples=30, deadline=None)
@given(LENGTHS, st.integers(0, 2**32 - 1))
def test_parts_in_any_order_are_the_whole(lengths: list[int], seed: int) -> None:
    chance = random.Random(seed)
    edges = tuple(EdgeType(DType.INT8, (length,), -128, 127) for length in lengths)
    tensors = tuple(chance.randbytes(length) for length in lengths)
    assembly = Assembly(edges)
    offsets = assembly.missing
    chance.shuffle(offsets)
    for offset in offsets:
        part = part_at(tensors, offset)
        assert 0 < len(part) <= MAX_CARRIED_BYTES
        assembly.put(offset, part)
    assert assembly.missing == []
    is_same = assembly.tensors() == tensors == decode_boundary(encode_boundary(tensors))
    assert is_same


@pytest.mark.parametrize("offset", [-MAX_CARRIED_BYTES, 1, 3 * MAX_CARRIED_BYTES, 2**32])
def test_there_is_no_part_between_parts(offset: int) -> None:
    with pytest.raises(InvalidMessage, match="no part"):
        part_at((bytes(MAX_CARRIED_BYTES), bytes(7)), offset)


@pytest.mark.parametrize("length", [0, 6, 8, MAX_CARRIED_BYTES])
def test_a_part_of_another_length_is_refused(length: int) -> None:
    assembly = Assembly((EdgeType(DType.INT8, (MAX_CARRIED_BYTES + 7,), -128, 127),))
    with pytest.raises(InvalidMessage, match="bytes"):
        assembly.put(MAX_CARRIED_BYTES, bytes(length))
    assert assembly.missing == [0, MAX_CARRIED_BYTES]
