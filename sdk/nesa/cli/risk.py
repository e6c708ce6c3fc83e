"""Says in words what a draw may put into one hand, and what stands behind an answer."""

from __future__ import annotations

from fractions import Fraction

from nesa.client.payment import in_nes
from nesa.protocol.ids import Amount
from nesa.protocol.risk import DrawRisk

ASSUMED = Fraction(1, 5)
"""Share of the seats that the figures assume in one hand."""


def risk_words(risk: DrawRisk) -> str:
    """The two probabilities, for seats of which a fifth act for one party."""
    wrong, held_up = _odds(risk.captured), _odds(risk.stalled)
    return f"with a fifth of the seats in one hand: {wrong} answered wrongly, {held_up} held up"


def stake_words(lost: Amount) -> str:
    """What a lying quorum loses of its own at least; an answer worth more needs a proof."""
    return f"a wrong answer that is shown costs its signers {in_nes(lost)} or more"


def _odds(probability: Fraction) -> str:
    if probability == 0:
        return "no query"
    if probability == 1:
        return "every query"
    return f"1 query in {float(1 / probability):,.3g}"
