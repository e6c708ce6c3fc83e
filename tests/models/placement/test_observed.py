"""Who overstates its capacity is found by its times; one slow run convicts nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.models.placement.observed import (
    LEAST_RUNS,
    Observation,
    Verdict,
    find_overstated,
    judge_claim,
)
from nesa.protocol.errors import InvalidInput

honest = st.builds(
    lambda predicted, factor: Observation(predicted, predicted * factor),
    st.floats(1e-6, 10),
    st.floats(0.2, 1.9),
)
slow = st.builds(
    lambda predicted, factor: Observation(predicted, predicted * factor),
    st.floats(1e-6, 10),
    st.floats(2.1, 1e6),
)


@given(st.lists(honest, min_size=LEAST_RUNS), slow)
def test_one_slow_run_convicts_nobody(runs, late):
    assert judge_claim([*runs, late]).verdict is Verdict.HOLDS


@given(st.lists(slow, min_size=LEAST_RUNS), honest)
def test_a_liar_is_found_though_one_run_was_quick(runs, quick):
    assert judge_claim([*runs, quick]).verdict is Verdict.OVERSTATED


@given(st.lists(slow, max_size=LEAST_RUNS - 1))
def test_few_runs_decide_nothing(runs):
    assert judge_claim(runs).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("time", [0.0, -1.0, float("nan"), float("inf")])
def test_times_that_are_none_are_refused(time):
    with pytest.raises(InvalidInput):
        judge_claim([Observation(1.0, time)])
    with pytest.raises(InvalidInput):
        judge_claim([Observation(time, 1.0)])


def test_a_tolerance_that_is_none_is_refused():
    with pytest.raises(InvalidInput):
        judge_claim([], float("nan"))


@given(st.floats(1, 50), st.floats(2.2, 100))
def test_a_prediction_that_is_off_for_all_convicts_only_the_liar(usual, lie):
    def runs(factor: float) -> list[Observation]:
        return [Observation(0.01, 0.01 * factor)] * LEAST_RUNS

    members = {
        "a": runs(usual),
        "b": runs(usual * 1.1),
        "c": runs(usual),
        "liar": runs(usual * lie),
    }
    found = find_overstated(members)
    liars = [name for name, one in found.items() if one.verdict is Verdict.OVERSTATED]
    assert liars == ["liar"]
