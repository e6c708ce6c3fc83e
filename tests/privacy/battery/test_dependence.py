"""The statistics against samples whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.privacy.battery import dependence
from nesa.privacy.battery.findings import SIGMAS, Attack, Finding, Measure, chance, strongest
from nesa.privacy.battery.views import Share


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
    words = draws.integers(0, 2**32, 20_000, dtype=np.uint32)
    assert is_uniform(words)
    assert not is_uniform(words & np.uint32(0xFFFFFF7F))
    assert not is_uniform(np.sort(words) // np.uint32(2))


def is_uniform(words):
    return dependence.uniformity(Share.of_words(words).digits, 8).is_uniform


@pytest.mark.parametrize("width", [3, 7])
def test_digits_of_any_width_are_tested_as_such(draws, width):
    digits = draws.integers(0, 1 << width, (3, 20_000), np.uint8)
    assert dependence.uniformity(digits, width).is_uniform
    assert not dependence.uniformity(digits, width + 1).is_uniform
    fair = dependence.variation(digits, width)
    assert abs(fair.value - fair.shuffled) <= SIGMAS * fair.deviation
    missing = np.where(digits == 1, 0, digits)
    assert not dependence.uniformity(missing, width).is_uniform


def test_words_of_a_share_begin_with_its_highest_bit():
    words = np.array([[0, 1, 2**32 - 1, 0x12345678]], np.uint32)
    assert (Share.of_words(words).words == words).all()
    assert len(Share.of_words(words)) == 1
    few = Share(np.array([[[5]], [[2]]], np.uint8), 3)
    assert few.words.tolist() == [[(2 << 3 | 5) << 26]]
    many = Share(np.full((5, 1, 1), 0x7F, np.uint8), 7)
    assert many.words.tolist() == [[2**32 - 1]]


def test_variation_is_that_of_a_uniform_sample(draws):
    fair = dependence.variation(draws.integers(0, 256, 20_000, np.uint8), 8)
    assert abs(fair.value - fair.shuffled) <= SIGMAS * fair.deviation
    assert dependence.variation(np.zeros(5_000, np.uint8), 8).value == pytest.approx(255 / 256)


def test_mutual_information_counts_bits(draws):
    numbers = draws.integers(0, 8, 4_000)
    assert dependence.mutual_information(numbers, numbers // 2).value == pytest.approx(2, abs=0.01)
    other = dependence.mutual_information(numbers, draws.integers(0, 8, 4_000))
    assert abs(other.value - other.shuffled) <= SIGMAS * other.deviation


def test_chance_leaves_room_for_luck_and_not_for_more():
    lucky = Finding(Attack.T1, Measure.TOKENS, 2 / 400, 1 / 30_000, chance(1 / 30_000, 400), "")
    assert not lucky.is_chance
    assert Finding(Attack.T1, Measure.TOKENS, 1 / 400, 1 / 30_000, lucky.slack, "").is_chance


def test_the_strongest_finding_of_each_attack_is_kept():
    weak, strong = (
        Finding(Attack.T6, Measure.TOKENS, recovery, 0.1, 0.0, "") for recovery in (0.2, 0.9)
    )
    other = Finding(Attack.T1, Measure.TOKENS, 0.5, 0.0, 0.0, "")
    assert strongest([weak, strong, other]) == (other, strong)
