"""Weights and scales as integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.opcodes.rescale import HALVES_HIGH, MULTIPLIER_HIGH
from nesa.models.quantise import (
    PRECISE,
    activation_scaling,
    quantise,
    quantise_factor,
    quantise_layer,
    quantise_logits,
)
from nesa.protocol.edges import DType
from nesa.protocol.errors import InvalidModel

layers = st.tuples(
    st.integers(0, 2**32 - 1), st.floats(1e-3, 1e2), st.floats(1e-3, 1.0), st.floats(1e-2, 1e1)
)


@settings(max_examples=60, deadline=None)
@given(layers)
def test_the_factors_of_a_layer_carry_no_rounding(drawn):
    seed, size, input_scale, output_scale = drawn
    weights = np.random.default_rng(seed).normal(0, size, (5, 7))
    try:
        layer = quantise_layer(weights, np.zeros(5), input_scale, output_scale)
    except InvalidModel:
        return
    factors = layer.multipliers / 128.0**layer.halves
    weight_scales = factors * output_scale / input_scale
    assert np.abs(weights - layer.weights * weight_scales[:, None]).max(axis=1) == pytest.approx(
        np.zeros(5), abs=0.51 * weight_scales.max()
    )
    assert layer.multipliers.min() >= PRECISE
    assert layer.multipliers.max() <= MULTIPLIER_HIGH
    assert np.abs(layer.weights).max() <= 127


@given(st.floats(3e-7, 63.9))
def test_a_factor_is_met_within_one_part_in_a_hundred(factor):
    multiplier, halves = quantise_factor(factor)
    assert PRECISE <= multiplier <= MULTIPLIER_HIGH
    assert 1 <= halves <= HALVES_HIGH
    assert multiplier / 128.0**halves == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("factor", [64.0, 1e-9, 0.0])
def test_a_factor_that_no_rescale_can_express_is_refused(factor):
    with pytest.raises(InvalidModel, match="rescale by"):
        quantise_factor(factor)


def test_logits_keep_headroom():
    layer = quantise_logits(np.eye(3), np.zeros(3), 0.1, peak=50.0)
    assert 50.0 * 1.5 / layer.scale <= 32767


def test_one_sided_samples_get_unsigned_bytes():
    one, two = (
        activation_scaling(np.array([0.0, 2.0]), 100),
        activation_scaling(np.array([-1.0, 2.0]), 100),
    )
    assert (one.dtype, one.low, one.high, one.scale) == (DType.UINT8, 0, 255, 2 / 255)
    assert (two.dtype, two.low, two.high, two.scale) == (DType.INT8, -127, 127, 2 / 127)


def test_the_percentile_cuts_off_rare_magnitudes():
    samples = np.append(np.linspace(-1, 1, 999), 50.0)
    assert activation_scaling(samples, 99.0).scale < 1.1 / 127


def test_quantising_rounds_half_up_and_clips():
    scaling = activation_scaling(np.array([-127.0, 127.0]), 100)
    values = np.array([0.5, -0.5, 1.49, 300.0, -300.0])
    assert quantise(values, scaling).tolist() == [1, 0, 1, 127, -127]
