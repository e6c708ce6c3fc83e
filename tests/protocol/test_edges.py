"""Edge types pack into one word and back, and let nothing through that is not theirs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidTensor


@st.composite
def edge_types(draw) -> EdgeType:
    """Any edge type with few elements."""
    dtype = draw(st.sampled_from(DType))
    least, greatest = dtype.bounds
    low = draw(st.integers(least, greatest))
    high = draw(st.integers(low, greatest))
    return EdgeType(
        dtype, tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))), low, high
    )


@given(edge_types())
def test_packing_and_unpacking_gives_the_same_edge(edge):
    assert len(edge.pack()) == 32
    assert EdgeType.unpack(edge.pack()) == edge


@given(edge_types(), st.integers(0, 2**32 - 1), st.sampled_from(["i8", "f8"]))
def test_encoding_and_decoding_gives_the_same_values(edge, seed, dtype):
    generator = np.random.default_rng(seed)
    values = generator.integers(edge.low, edge.high, edge.shape, endpoint=True)
    data = edge.encode(values.astype(dtype))
    assert len(data) == edge.nbytes
    assert np.array_equal(edge.decode(data), values)


@given(edge_types(), st.integers(0, 31), st.integers(1, 255))
def test_a_changed_word_is_another_edge_or_none(edge, place, flip):
    word = bytearray(edge.pack())
    word[place] ^= flip
    try:
        found = EdgeType.unpack(bytes(word))
    except InvalidTensor:
        return
    assert found != edge
    assert found.pack() == word


def test_bytes_are_little_endian_in_c_order():
    edge = EdgeType(DType.INT16, (2, 2), -300, 300)
    values = np.array([[1, -1], [256, -256]]).T
    assert edge.encode(values) == b"\x01\x00\x00\x01\xff\xff\x00\xff"


def test_minus_zero_is_zero():
    edge = EdgeType(DType.INT8, (2,), -1, 1)
    assert edge.encode(np.array([-0.0, 0.0])) == bytes(2)


EDGE = EdgeType(DType.INT8, (1, 2), -100, 100)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0.5, 0]]),
        np.array([[np.nan, 0]]),
        np.array([[np.inf, 0]]),
        np.array([[101, 0]]),
        np.array([[-101.0, 0]]),
        np.array([[0, 0, 0]]),
        np.array([0, 0]),
        np.array([[2**63, 0]], np.uint64),
        np.array([["1", "0"]]),
        np.array([[True, False]]),
    ],
    ids=range(10),
)
def test_values_that_are_not_of_the_edge_are_refused(values):
    with pytest.raises(InvalidTensor):
        EDGE.encode(values)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(3), b"\x65\0", b"\x80\0"])
def test_bytes_that_are_not_of_the_edge_are_refused(data):
    with pytest.raises(InvalidTensor):
        EDGE.decode(data)


@pytest.mark.parametrize(
    ("dtype", "shape", "low", "high"),
    [
        (DType.INT8, (), 0, 1),
        (DType.INT8, (1,) * 6, 0, 1),
        (DType.INT8, (0,), 0, 1),
        (DType.INT8, (2**32,), 0, 1),
        (DType.INT8, (1,), 1, 0),
        (DType.INT8, (1,), 0, 128),
        (DType.UINT8, (1,), -1, 0),
    ],
)
def test_an_impossible_edge_is_refused(dtype, shape, low, high):
    with pytest.raises(InvalidTensor):
        EdgeType(dtype, shape, low, high)
