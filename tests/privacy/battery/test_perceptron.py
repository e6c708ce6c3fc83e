"""The decoder with a hidden layer against functions that no linear one undoes."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.privacy.battery import inversion, perceptron

ROWS, WIDTH, KNOWN = 3_000, 6, 2_000


@pytest.fixture(scope="module")
def targets():
    return np.random.default_rng(1).normal(size=(ROWS, WIDTH)).astype(np.float32)


def explained(decoder, states, targets):
    mean = targets[:KNOWN].mean(axis=0)
    return inversion.explained(targets[KNOWN:], decoder.read(states[KNOWN:]), mean)


def test_it_reads_what_a_linear_decoder_does_not(targets):
    """The size of each number stands in one channel and its sign in another."""
    draws = np.random.default_rng(2)
    mixed = targets @ np.linalg.qr(draws.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
    states = np.column_stack([np.abs(mixed), np.sign(mixed)])
    linear = explained(inversion.train(states[:KNOWN], targets[:KNOWN]), states, targets)
    found = explained(perceptron.learn(states[:KNOWN], targets[:KNOWN]), states, targets)
    assert linear < 0.7
    assert found > 0.9


def test_it_is_as_good_as_a_linear_decoder_where_that_is_all(targets):
    states = targets @ np.random.default_rng(3).normal(size=(WIDTH, 9)).astype(np.float32)
    assert explained(perceptron.learn(states[:KNOWN], targets[:KNOWN]), states, targets) > 0.99


def test_noise_tells_it_nothing(targets):
    noise = np.random.default_rng(4).normal(size=(ROWS, 9)).astype(np.float32)
    assert explained(perceptron.learn(noise[:KNOWN], targets[:KNOWN]), noise, targets) < 0.01


def test_a_channel_that_never_changes_is_no_obstacle(targets):
    states = np.column_stack([targets, np.ones(ROWS, np.float32)])
    assert explained(perceptron.learn(states[:KNOWN], targets[:KNOWN]), states, targets) > 0.99
