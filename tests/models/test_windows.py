"""Pools with every kind of padding, and resizing, close to the floats."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.protocol.errors import InvalidModel
from tests.models.float_models import draws, node, real_output
from tests.models.image_models import close, compiled, images


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [0, 1, 2, 0]},
        {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 0, 0], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [4, 4], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "VALID"},
        {"kernel_shape": [3, 3]},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "count"])
def test_a_pool_with_padding_is_near_the_float_pool(kind, settings):
    if kind == "count":
        close([node("AveragePool", "a", "y", count_include_pad=1, **settings)])
    else:
        close([node(kind, "a", "y", **settings)])


@pytest.mark.parametrize("kind", ["GlobalMaxPool", "GlobalAveragePool"])
def test_a_pool_over_the_whole_image_is_near_the_float_pool(kind):
    close([node(kind, "a", "y")])


def test_padding_is_never_the_largest_where_all_numbers_are_negative():
    low = {"low": np.float32(-9), "high": np.float32(-0.5)}
    pool = node("MaxPool", "c", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    made = close([node("Clip", "a low high", "c"), pool], low)
    assert all(real_output(made, row).max() < -0.4 for row in images(4))


def test_a_convolution_pads_as_much_as_its_output_needs():
    close([node("Conv", "a v", "y", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")],
          {"v": draws(np.random.default_rng(1), 4, 4, 3, 3)}, part=0.05)  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"},
        {"coordinate_transformation_mode": "align_corners", "nearest_mode": "round_prefer_ceil"},
        {"coordinate_transformation_mode": "pytorch_half_pixel", "nearest_mode": "ceil"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "wanted",
    [
        np.array([1, 1, 2, 3], np.float32),
        np.array([1, 1, 1.5, 2.4], np.float32),
        np.array([1, 1, 0.5, 0.7], np.float32),
        np.array([1, 4, 14, 10], np.int64),
    ],
    ids=str,
)
def test_a_resize_to_the_nearest_pixel_is_near_the_float_one(wanted, settings):
    resize = node("Resize", "a wanted", "y", mode="nearest", **settings)
    resize.input[:] = ["a", "", "wanted"] if wanted.dtype.kind == "f" else ["a", "", "", "wanted"]
    close([resize], {"wanted": wanted})


@pytest.mark.parametrize(
    ("one", "named"),
    [
        (node("MaxPool", "a", "y", kernel_shape=[2, 2], dilations=[2, 2]), "MaxPool node 'y_node'"),
        (node("Conv", "a v", "y", kernel_shape=[2, 2], dilations=[2, 2]), "Conv node 'y_node'"),
    ],
    ids=["pool", "convolution"],
)
def test_a_window_with_holes_is_named(one, named):
    with pytest.raises(InvalidModel, match=f"{named} must .*dilat"):
        compiled([one], {"v": np.ones((1, 4, 2, 2), np.float32)})


def test_a_smooth_resize_is_named():
    resize = node("Resize", "a wanted", "y", mode="linear")
    resize.input[:] = ["a", "", "wanted"]
    with pytest.raises(InvalidModel, match="Resize node 'y_node' must resize height and width"):
        compiled([resize], {"wanted": np.array([1, 1, 2, 2], np.float32)})
