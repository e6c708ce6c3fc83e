"""What lengths and likeness tell, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.privacy.battery.traffic import STRANGERS, equality, told_apart, told_by

PAIRS = 50


@pytest.fixture
def draws():
    return np.random.default_rng(3)


@pytest.fixture
def beginnings(draws):
    """Numbers of what requests begin with; every other pair is linked."""
    numbers = np.arange(2 * PAIRS)[:, None]
    numbers[1::4] = numbers[0::4]
    return numbers


def test_either_half_of_the_requests_is_told_by_the_other():
    sought = np.array([0, 0, 0, 1] * 5)
    assert told_by(np.zeros(20), sought) == 0.75  # all the even ones, and half of the odd ones
    assert told_by(sought, sought) == 0.75  # nobody meets a 1 on the even ones
    assert told_by(np.arange(20), sought) == 0.75


def test_equal_requests_are_linked(beginnings):
    found = told_apart(beginnings, beginnings, equality)
    assert found is not None
    assert found.told == 1.0
    assert found.alike == PAIRS // 2
    assert found.others == PAIRS // 2 + STRANGERS * PAIRS


def test_requests_that_avoid_each_other_are_linked_too(beginnings):
    equal_to_strangers = np.zeros((2 * PAIRS, 1))
    equal_to_strangers[1::4] = 1
    found = told_apart(equal_to_strangers, beginnings, equality)
    assert found is not None
    assert found.told > 0.7


def test_a_stranger_that_begins_alike_is_no_stranger(beginnings):
    """Of two records half of all requests are about the same one by chance."""
    records = np.random.default_rng(1).integers(0, 2, (2 * PAIRS, 1))
    found = told_apart(records, records, equality)
    assert found is not None
    assert found.told == 1.0


def test_nothing_is_said_without_a_linked_pair():
    apart = np.arange(20)[:, None]
    assert told_apart(apart, apart, equality) is None
    assert told_apart(apart * 0, apart * 0, equality) is None


@pytest.mark.parametrize("kinds", [2, 1_000])
def test_noise_spreads_as_far_as_its_deviation(draws, beginnings, kinds):
    """Whether scores are rarely equal or mostly."""
    tried = [
        told_apart(draws.integers(0, kinds, (2 * PAIRS, 3)), beginnings, equality)
        for _ in range(300)
    ]
    found = [each for each in tried if each is not None]
    lift = np.array([each.told - 0.5 for each in found])
    spread = np.array([each.deviation for each in found])
    assert 0.8 < np.sqrt(np.mean(lift**2)) / np.sqrt(np.mean(spread**2)) < 1.2
    assert np.mean(lift > 4 * spread + 2 / PAIRS) == 0
