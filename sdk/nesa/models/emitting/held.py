"""How a value of a table stands for real numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nesa.models.quantise import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Value number `value`, whose integers q stand for `scale * q + offset`.

    `scale` and `offset` are single numbers, or one for each place of the last axis [C].
    """

    value: int
    scale: float | Floats
    offset: float | Floats = 0.0

    @property
    def step(self) -> float:
        """The scale, where it is a single positive number.

        Raises:
            TypeError: it is not; a bug of the caller, who must ask for such a value.
        """
        if isinstance(self.scale, float) and self.scale > 0:
            return self.scale
        raise TypeError("the value has a scale for each channel")

    @property
    def is_plain(self) -> bool:
        """Whether one positive scale and no offset say it all."""
        return isinstance(self.scale, float) and self.scale > 0 and not np.any(self.offset)

    def reals(self, integers: Floats) -> Floats:
        """The real numbers that integers [.., C] stand for."""
        return integers * self.scale + self.offset
