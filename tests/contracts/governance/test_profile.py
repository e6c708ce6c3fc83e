from dataclasses import astuple

import boa
import pytest

from nesa.protocol.parameters import QueryParameters
from tests.deployment import (
    MAXIMUM_QUERY_SECONDS,
    QUERY_PARAMETERS,
    REQUEST_LIMITS,
    deployer,
)

NOBODY = "0x" + "00" * 20


def test_everything_can_be_read(parameters, treasury, reviewer_pool, owner):
    assert tuple(parameters.query_parameters()) == astuple(QUERY_PARAMETERS)
    assert tuple(parameters.request_limits()) == astuple(REQUEST_LIMITS)
    assert parameters.treasury() == treasury
    assert parameters.reviewer_pool() == reviewer_pool
    assert parameters.maximum_query_seconds() == MAXIMUM_QUERY_SECONDS
    assert parameters.owner() == owner


def test_requests_read_both_packed_words(parameters):
    rules, limits = parameters.request_terms()
    assert QueryParameters.unpack(rules) == QUERY_PARAMETERS
    assert rules == QUERY_PARAMETERS.pack()
    widths = (32, 32, 16, 64, 16, 8, 16, 16)
    for value, width in zip(astuple(REQUEST_LIMITS), widths, strict=True):
        assert limits & (1 << width) - 1 == value
        limits >>= width
    assert limits == 0


@pytest.mark.parametrize(
    ("treasury", "pool", "maximum", "reason"),
    [
        (NOBODY, "0x" + "11" * 20, 290, "parameters: no treasury"),
        ("0x" + "11" * 20, NOBODY, 290, "parameters: no reviewer pool"),
        ("0x" + "11" * 20, "0x" + "11" * 20, 90 * 86_400 + 1, "parameters: maximum too long"),
        ("0x" + "11" * 20, "0x" + "11" * 20, 209, "parameters: windows too long"),
    ],
)
def test_a_profile_out_of_bounds_reverts(treasury, pool, maximum, reason):
    with boa.reverts(reason):
        deployer("governance/ProtocolParameters").deploy(
            astuple(QUERY_PARAMETERS), astuple(REQUEST_LIMITS), treasury, pool, maximum
        )
