"""Odds are said so that a person can weigh them."""

from __future__ import annotations

from fractions import Fraction

from nesa.cli.risk import risk_words
from nesa.protocol.risk import DrawRisk


def test_odds_are_said_as_one_in_so_many():
    said = risk_words(DrawRisk(Fraction(1, 12_345), Fraction(1, 3)))
    assert "1 query in 1.23e+04 answered wrongly" in said
    assert "1 query in 3 held up" in said


def test_what_cannot_be_and_what_must_be_are_said_plainly():
    said = risk_words(DrawRisk(Fraction(0), Fraction(1)))
    assert "no query answered wrongly, every query held up" in said
