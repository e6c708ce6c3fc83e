from dataclasses import astuple, replace

import boa
import pytest

from nesa.protocol.parameters import QueryParameters
from tests.deployment import QUERY_PARAMETERS


def test_the_owner_sets_all_of_them(parameters, owner):
    changed = QueryParameters(6_000, 1_000, 0, 1_000, 20, 2, 60, 1, 61, 100, 129, 77, 2**24 - 1)
    parameters.set_query_parameters(astuple(changed), sender=owner)
    assert parameters.request_terms()[0] == changed.pack()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"royalty_bps": 1}, "parameters: royalty not zero"),
        ({"oracle_turn": 0}, "parameters: no turn"),
        ({"prover_turns": 0}, "parameters: no turn"),
        ({"oracle_turns": 9, "oracle_turn": 1}, "parameters: turns out of bounds"),
        ({"prover_turn": 2**16, "prover_turns": 1}, "parameters: turns out of bounds"),
        ({"oracle_turn": 21, "oracle_turns": 3}, "parameters: turns outlast answer"),
        ({"answer_window": 44}, "parameters: turns outlast answer"),
        ({"claim_window": 0}, "parameters: no claim window"),
        ({"dispute_window": 0}, "parameters: no dispute window"),
        ({"defence_window": 0}, "parameters: no defence window"),
        ({"move_window": 0}, "parameters: no move window"),
        ({"defence_window": 2**24}, "parameters: clock too long"),
        ({"move_window": 2**24}, "parameters: clock too long"),
    ],
)
def test_out_of_bounds_reverts(parameters, owner, change, reason):
    with boa.reverts(reason):
        parameters.set_query_parameters(astuple(replace(QUERY_PARAMETERS, **change)), sender=owner)


@pytest.mark.parametrize("share", ["miners_bps", "oracle_bps", "reviewers_bps"])
def test_shares_over_the_whole_revert(parameters, owner, share):
    # 10,000 less the greatest royalty of 2,000 remain for the three.
    rest = 8_000 - 7_000 - 500 - 300
    at_the_bound = replace(QUERY_PARAMETERS, **{share: getattr(QUERY_PARAMETERS, share) + rest})
    parameters.set_query_parameters(astuple(at_the_bound), sender=owner)
    past_it = replace(at_the_bound, **{share: getattr(at_the_bound, share) + 1})
    with boa.reverts("parameters: shares too large"):
        parameters.set_query_parameters(astuple(past_it), sender=owner)


@pytest.mark.parametrize("window", ["answer_window", "claim_window", "dispute_window"])
def test_windows_past_the_maximum_revert(parameters, owner, window):
    at_the_bound = replace(QUERY_PARAMETERS, **{window: getattr(QUERY_PARAMETERS, window) + 80})
    parameters.set_query_parameters(astuple(at_the_bound), sender=owner)
    past_it = replace(at_the_bound, **{window: getattr(at_the_bound, window) + 1})
    with boa.reverts("parameters: windows too long"):
        parameters.set_query_parameters(astuple(past_it), sender=owner)


def test_others_revert(parameters, outsider):
    with boa.reverts("ownable: caller is not the owner"):
        parameters.set_query_parameters(astuple(QUERY_PARAMETERS), sender=outsider)
