"""The statistics against samples whose answer is known."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from nesa.privacy.battery import dependence
from nesa.privacy.battery.bounds import foremost
from nesa.privacy.battery.findings import ODDS, SIGMAS, Attack, Finding, Measure, chance
from nesa.privacy.battery.views import Observer


@pytest.fixture
def draws():
    return np.random.default_rng(6)


def test_distance_correlation_sees_what_a_linear_one_does_not(draws):
    sample = draws.normal(size=(200, 1))
    found = dependence.distance_correlation(sample, sample**2)
    assert abs(np.corrcoef(sample[:, 0], sample[:, 0] ** 2)[0, 1]) < 0.3
    assert found.value > found.shuffled + SIGMAS * found.deviation


def test_distance_correlation_of_a_rotation_is_one(draws):
    sample = draws.normal(size=(100, 8))
    basis = np.linalg.qr(draws.normal(size=(8, 8)))[0]
    assert dependence.distance_correlation(sample, sample @ basis).value == pytest.approx(1)


def test_independent_rows_of_many_channels_are_no_dependence(draws):
    found = dependence.distance_correlation(
        draws.normal(size=(100, 500)), draws.normal(size=(100, 500))
    )
    assert abs(found.value - found.shuffled) <= SIGMAS * found.deviation


def test_uniform_words_pass_and_others_do_not(draws):
    for bits in (8, 7, 3):
        digits = draws.integers(0, 1 << bits, (4, 20_000), np.uint8)
        assert dependence.uniformity(digits, bits).is_uniform
        for place in range(4):
            broken = digits.copy()
            broken[place] &= (1 << bits - 1) - 1
            assert not dependence.uniformity(broken, bits).is_uniform
    halved = digits.copy()
    halved[3, : len(halved[3]) // 2] = 0
    assert dependence.uniformity(halved, 3).kolmogorov > 2.3


def test_variation_is_that_of_a_uniform_sample(draws):
    for bits in (8, 7):
        fair = dependence.variation(draws.integers(0, 1 << bits, (4, 5_000), np.uint8), bits)
        assert abs(fair.value - fair.shuffled) <= SIGMAS * fair.deviation
        none = dependence.variation(np.zeros((4, 5_000), np.uint8), bits)
        assert none.value == pytest.approx(1 - 2**-bits)


def test_mutual_information_counts_bits(draws):
    numbers = draws.integers(0, 8, 4_000)
    assert dependence.mutual_information(numbers, numbers // 2).value == pytest.approx(2, abs=0.01)
    other = dependence.mutual_information(numbers, draws.integers(0, 8, 4_000))
    assert abs(other.value - other.shuffled) <= SIGMAS * other.deviation


def test_chance_leaves_room_for_luck_and_not_for_more():
    found = Finding(Attack.T1, Measure.TOKENS, 3 / 400, 1 / 30_000, chance(1 / 30_000, 400), "")
    assert not found.is_chance
    assert Finding(Attack.T1, Measure.TOKENS, 2 / 400, 1 / 30_000, found.slack, "").is_chance


@pytest.mark.parametrize("odds", [0.0, 1 / 30_000, 1 / 540, 0.2, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("trials", [1, 10, 64, 400])
def test_luck_exceeds_the_slack_no_more_often_than_is_said(odds, trials):
    """By sums of exact fractions: the slack allows as many right guesses, and no more."""
    share = Fraction(odds)

    def beyond(most: int) -> Fraction:
        return sum(
            (
                math.comb(trials, right) * share**right * (1 - share) ** (trials - right)
                for right in range(most + 1, trials + 1)
            ),
            Fraction(),
        )

    allowed = math.floor((odds + chance(odds, trials)) * trials)
    assert beyond(allowed) <= ODDS
    assert allowed == 0 or beyond(allowed - 1) > ODDS


def test_of_each_attack_the_strongest_finding_is_kept_where_nothing_is_claimed():
    weak, strong = (
        Finding(Attack.T6, Measure.TOKENS, recovery, 0.1, 0.0, "") for recovery in (0.2, 0.9)
    )
    other = Finding(Attack.T1, Measure.TOKENS, 0.5, 0.0, 0.0, "")
    assert foremost(Observer.SPLIT_MEMBER, [weak, strong, other]) == (other, strong)


def test_a_weak_finding_that_breaks_a_claim_comes_before_a_strong_one_that_does_not():
    held = Finding(Attack.T10, Measure.PAIRS, 0.68, 0.5, 0.2, "forty pairs")
    breach = Finding(Attack.T10, Measure.PAIRS, 0.57, 0.5, 0.05, "a thousand pairs")
    assert foremost(Observer.SHARED_MEMBER, [held, breach]) == (breach,)
    assert foremost(Observer.SPLIT_MEMBER, [held, breach]) == (held,)


def test_chance_lifts_a_distance_correlation_no_further_than_is_said(draws):
    """Of skewed numbers and of bytes, few rows of them."""
    tried = [
        dependence.distance_correlation(
            draws.normal(size=(60, 3)) ** 3, draws.integers(0, 256, (60, 32))
        )
        for _ in range(200)
    ]
    spread = np.std([np.sign(each.value) * each.value**2 for each in tried])
    assert spread == pytest.approx(np.sqrt(2 / (60 * 57)), rel=0.25)
    assert all(each.value <= SIGMAS * each.deviation for each in tried)
