from dataclasses import astuple, replace

import boa
import pytest

from nesa.protocol.ids import Amount
from nesa.protocol.parameters import RequestLimits
from tests.deployment import REQUEST_LIMITS


@pytest.mark.parametrize(
    "limits",
    [
        RequestLimits(Amount(2**32 - 1), 5_000_000, 64, Amount(10**16), 10_000, 8, 10_000, 10_000),
        RequestLimits(Amount(0), 0, 1, Amount(1), 1, 1, 1, 1),
    ],
)
def test_the_owner_sets_them_up_to_their_bounds(parameters, owner, limits):
    parameters.set_request_limits(astuple(limits), sender=owner)
    assert tuple(parameters.request_limits()) == astuple(limits)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"callback_price": 2**32}, "parameters: callback price"),
        ({"max_callback_gas": 5_000_001}, "parameters: callback gas"),
        ({"min_seats": 0}, "parameters: no minimum of seats"),
        ({"min_seats": 1_025}, "parameters: too many seats"),
        ({"seat_stake": 0}, "parameters: no seat stake"),
        ({"seat_stake": 10**16 + 1}, "parameters: seat stake too large"),
        ({"exposure_bps": 0}, "parameters: no exposure"),
        ({"exposure_bps": 10_001}, "parameters: exposure too large"),
        ({"max_replicas": 0}, "parameters: no replicas"),
        ({"max_replicas": 9}, "parameters: too many replicas"),
        ({"challenger_bond_bps": 0}, "parameters: no challenger bond"),
        ({"challenger_bond_bps": 10_001}, "parameters: bond too large"),
        ({"defence_penalty_bps": 0}, "parameters: no defence penalty"),
        ({"defence_penalty_bps": 10_001}, "parameters: penalty too large"),
    ],
)
def test_out_of_bounds_reverts(parameters, owner, change, reason):
    with boa.reverts(reason):
        parameters.set_request_limits(astuple(replace(REQUEST_LIMITS, **change)), sender=owner)


def test_others_revert(parameters, outsider):
    with boa.reverts("ownable: caller is not the owner"):
        parameters.set_request_limits(astuple(REQUEST_LIMITS), sender=outsider)
