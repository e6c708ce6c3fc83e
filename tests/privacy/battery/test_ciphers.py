"""A permuted vocabulary against somebody who knows the language."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from benchmarks.privacy.corpus import paragraphs
from nesa.privacy.battery import ciphers

VOCABULARY = 2000
PLACES = 32
OTHER = 0
"""Stands for every rare word."""


@pytest.fixture(scope="module")
def texts():
    """[n, PLACES] words of a client's texts and of the attacker's, the most frequent ones told
    apart."""
    halves = [re.findall("[a-z]+|[.,]", " ".join(each).lower()) for each in paragraphs()]
    frequent = [word for word, _ in Counter(halves[1]).most_common(VOCABULARY - 1)]
    numbers = {word: number for number, word in enumerate(frequent, OTHER + 1)}
    rows = [np.array([numbers.get(word, OTHER) for word in each]) for each in halves]
    return [each[: len(each) // PLACES * PLACES].reshape(-1, PLACES) for each in rows]


def test_frequencies_and_neighbours_read_a_permuted_vocabulary(texts):
    ours, theirs = texts
    assert ours.size >= 50_000
    key = np.random.default_rng(1).permutation(VOCABULARY)
    told = ours != OTHER
    ranked, climbed = (
        np.mean((table[key[ours]] == ours)[told])
        for table in (
            ciphers.by_rank(key[ours], theirs, VOCABULARY),
            ciphers.decipher(key[ours], theirs, VOCABULARY, frequent=300),
        )
    )
    most_frequent = np.mean(ours[told] == 1)
    assert ranked > 2 * most_frequent
    assert climbed > ranked + 0.1
    assert climbed > 0.5


def test_every_identifier_gets_a_token_of_its_own(texts):
    ours, theirs = texts
    key = np.random.default_rng(2).permutation(VOCABULARY)
    found = ciphers.decipher(key[ours], theirs, VOCABULARY, frequent=120)
    assert np.array_equal(np.sort(found), np.arange(VOCABULARY))


def test_a_template_gives_its_tokens_away_wherever_they_stand():
    key = np.random.default_rng(3).permutation(50)
    template = np.arange(10)[None]
    table = ciphers.crib(key[template], template, 50)
    request = np.array([[3, 20, 9, 41]])
    assert table[key[request]].tolist() == [[3, -1, 9, -1]]


def test_known_requests_put_places_in_order(texts):
    """Whoever knows what was asked needs no weights to see which place is which."""
    ours, _ = texts
    draws = np.random.default_rng(4)
    key, order = draws.permutation(VOCABULARY), draws.permutation(PLACES)
    known = ours[:32]
    held = key[known][:, order]
    found = ciphers.in_places(held, known, VOCABULARY)
    assert np.array_equal(held[:, found], key[known])
    table = ciphers.by_occurrence(held, known, VOCABULARY)
    told = table >= 0
    assert told.sum() > 50
    assert np.array_equal(key[table[told]], np.flatnonzero(told))


def test_nobody_knows_anything_without_a_known_request():
    rows = np.ones((3, 4), np.float32)
    assert ciphers.look_up(rows[:0], np.empty(0, np.int64), rows).tolist() == [-1, -1, -1]
