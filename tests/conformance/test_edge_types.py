"""The contracts read packed edge types as the protocol does."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidTensor
from tests.deployment import load_harness


@pytest.fixture(scope="module")
def harness():
    return load_harness("EdgeTypeHarness")


@st.composite
def edges(draw):
    dtype = draw(st.sampled_from(DType))
    least, greatest = dtype.bounds
    low, high = sorted(draw(st.tuples(*2 * (st.integers(least, greatest),))))
    sizes = st.integers(1, 9) | st.integers(1, 2**32 - 1)
    return EdgeType(dtype, tuple(draw(st.lists(sizes, min_size=1, max_size=5))), low, high)


def is_accepted(word: bytes) -> bool:
    try:
        EdgeType.unpack(word)
    except InvalidTensor:
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(edge=edges())
def test_fields_agree(harness, edge):
    fields = harness.unpack(edge.pack())
    assert harness.is_canonical(edge.pack())
    assert fields.itemsize == edge.dtype.itemsize
    assert fields.signed == (edge.dtype != DType.UINT8)
    assert (fields.low, fields.high) == (edge.low, edge.high)
    assert fields.elements == edge.elements
    assert harness.byte_length(edge.pack()) == edge.nbytes


@settings(max_examples=150, deadline=None)
@given(edge=edges(), position=st.integers(0, 31), byte=st.integers(0, 255))
@example(EdgeType(DType.INT8, (3,), -127, 127), 31, 1)
@example(EdgeType(DType.INT8, (3,), -127, 127), 3, 1)
@example(EdgeType(DType.INT8, (3,), -127, 127), 2, 2)
@example(EdgeType(DType.INT8, (3,), -127, 127), 15, 0)
def test_one_changed_byte_is_judged_alike(harness, edge, position, byte):
    word = bytearray(edge.pack())
    word[position] = byte
    assert harness.is_canonical(bytes(word)) == is_accepted(bytes(word))


@settings(max_examples=30, deadline=None)
@given(word=st.binary(min_size=32, max_size=32))
@example(bytes(32))
def test_any_word_is_judged_alike(harness, word):
    assert harness.is_canonical(word) == is_accepted(word)
