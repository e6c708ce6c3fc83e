"""The contracts pack protocol parameters as the protocol does."""

from dataclasses import astuple, fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.parameters import QueryParameters, RequestLimits
from tests.deployment import load_harness

WIDTHS = (16, 16, 16, 16, 16, 8, 16, 8, 32, 32, 32, 24, 24)
LIMIT_WIDTHS = (32, 32, 16, 64, 16, 8, 16, 16)


@pytest.fixture(scope="module")
def harness():
    return load_harness("ParameterWordsHarness")


@settings(max_examples=40, deadline=None)
@given(values=st.tuples(*(st.integers(0, 2**width - 1) for width in WIDTHS)))
def test_query_parameters_agree(harness, values):
    parameters = QueryParameters(*values)
    assert len(fields(parameters)) == len(WIDTHS)
    assert harness.pack_query_parameters(values) == parameters.pack()
    assert tuple(harness.unpack_query_parameters(parameters.pack())) == astuple(parameters)


@settings(max_examples=30, deadline=None)
@given(
    values=st.tuples(*(st.integers(0, 2**width - 1) for width in (32, 32, 16, 64, 16, 8, 16, 16)))
)
def test_request_limits_agree(harness, values):
    limits = RequestLimits(*values)
    word = harness.pack_request_limits(values)
    assert word == limits.pack()
    assert RequestLimits.unpack(word) == limits
    assert tuple(harness.unpack_request_limits(word)) == values
    assert harness.seat_stake(word) == limits.seat_stake
