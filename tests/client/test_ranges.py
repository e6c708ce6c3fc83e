"""Numbers outside of a feature's range are named before anything is paid."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from nesa import Client, InvalidTensor, Model
from nesa.client.ranges import ABSURD_WIDTHS, check_ranges, outliers
from tests.models.test_card import card

USUAL = np.array([10.0, 0.0, 0.5])
HOTTEST = 10.0 + 127 * 0.5
WIDTH = 254 * 0.5


def with_temperature(degrees: float) -> np.ndarray:
    return np.array([degrees, *USUAL[1:]])


@pytest.mark.parametrize("degrees", [10.0, HOTTEST, HOTTEST + 0.24, -HOTTEST + 20])
def test_what_is_in_range_is_no_outlier(degrees: float) -> None:
    assert outliers(card(), with_temperature(degrees)) == ()
    assert card().clipped_features(with_temperature(degrees)) == ()


@pytest.mark.parametrize("degrees", [HOTTEST + 0.26, -54.0, 1e300])
def test_outliers_are_what_the_card_clips(degrees: float) -> None:
    found = outliers(card(), with_temperature(degrees))
    assert tuple(one.name for one in found) == ("temperature",)
    assert card().clipped_features(with_temperature(degrees)) == ("temperature",)


def test_a_clipped_number_is_warned_of_with_its_range() -> None:
    said = r"temperature is 80 degree Celsius, outside -53.5 to 73.5"
    with pytest.warns(UserWarning, match=said):
        check_ranges(card(), with_temperature(80.0))


def test_a_number_in_range_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_ranges(card(), USUAL)


@pytest.mark.filterwarnings("ignore:the model takes")
def test_far_means_ten_widths_of_the_range() -> None:
    check_ranges(card(), with_temperature(HOTTEST + ABSURD_WIDTHS * WIDTH))
    with pytest.raises(InvalidTensor, match="temperature is 1343.6.* outside -53.5 to 73.5"):
        check_ranges(card(), with_temperature(HOTTEST + ABSURD_WIDTHS * WIDTH + 0.1))


async def test_an_absurd_number_is_refused_before_anything_is_paid(
    client: Client, model: Model, features: np.ndarray
) -> None:
    before = await client.balance()
    wrong = np.array([1e9, *features[1:]])
    with pytest.raises(InvalidTensor, match=r"mean radius is 1e\+09"):
        await client.submit(model, wrong)
    assert await client.balance() == before


async def test_a_clipped_number_is_asked_with_a_warning(
    client: Client, model: Model, features: np.ndarray
) -> None:
    beyond = np.array([100.0, *features[1:]])
    with pytest.warns(UserWarning, match="mean radius is 100"):
        await client.submit(model, beyond)
