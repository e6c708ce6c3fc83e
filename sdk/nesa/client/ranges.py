"""Says which numbers a model cannot tell apart from the end of their feature's range."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.card import Feature, ModelCard
from nesa.protocol.errors import InvalidTensor

ABSURD_WIDTHS: Final = 10
"""How many widths of its range a number may lie outside; further out it is another unit or column,
while real outliers lie within one or two."""

MOST_NAMED: Final = 3
"""How many features a warning names."""


@dataclass(frozen=True, slots=True)
class Outlier:
    """A number outside of its feature's range `low` to `high`, and by how many widths of it."""

    name: str
    unit: str
    number: float
    low: float
    high: float
    widths: float

    def __str__(self) -> str:
        given = f"{self.number:g} {self.unit}".rstrip()
        return f"{self.name} is {given}, outside {self.low:g} to {self.high:g}"


def representable(card: ModelCard, feature: Feature) -> tuple[float, float]:
    """The least and the greatest number of a feature that the model's input can hold."""
    edge = card.input_edge
    return feature.offset + feature.step * edge.low, feature.offset + feature.step * edge.high


def outliers(card: ModelCard, numbers: NDArray[np.float64]) -> tuple[Outlier, ...]:
    """The numbers that the model's input clips, in the order of the features.

    `numbers` are finite and as many as the card's features.
    """
    edge, found = card.input_edge, []
    for feature, number in zip(card.element_features, numbers.reshape(-1).tolist(), strict=True):
        steps = (number - feature.offset) / feature.step
        beyond = max(edge.low - steps, steps - edge.high)
        if beyond > 0.5:  # less is rounded to the end of the range, which is not clipping
            low, high = representable(card, feature)
            widths = beyond / max(edge.high - edge.low, 1)
            found.append(Outlier(feature.name, feature.unit, number, low, high, widths))
    return tuple(found)


def check_ranges(card: ModelCard, numbers: NDArray[np.float64]) -> None:
    """Warn of numbers that are clipped.

    Raises:
        InvalidTensor: one lies so far outside that no such thing can be meant.
    """
    found = outliers(card, numbers)
    if not found:
        return
    furthest = max(found, key=lambda outlier: outlier.widths)
    if furthest.widths > ABSURD_WIDTHS:
        raise InvalidTensor(f"{furthest}, too far to mean anything; check its unit and its place")
    named = "; ".join(map(str, found[:MOST_NAMED]))
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    warnings.warn(f"the model takes the nearest number in range where {named}{more}", stacklevel=4)
