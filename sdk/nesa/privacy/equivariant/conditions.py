"""Which changes of basis an axis may take: conditions on a matrix Q, met by joining them.

The layers of a network each allow a group of transforms on the axes that they read and write
(research on invariances of layers calls them symmetry groups). What an axis may take is the meet of
the groups of all layers that touch it, and here a group is a set of conditions, so that the meet of
two groups is the union of their conditions.
"""

from __future__ import annotations

from enum import IntFlag


class Conditions(IntFlag):
    """Conditions that a matrix Q of an axis must keep; none of them: any invertible Q."""

    NONE = 0
    ORTHOGONAL = 1
    """`Q Q^T = 1`, so that it is its own dual `Q^-T`: lengths and inner products stay."""
    FIXING_ONES = 2
    """`Q 1 = 1`, so that means and equal numbers along the axis stay."""
    SPARSE = 4
    """One positive number in every row and column: a permutation times a positive diagonal."""
    PLANES = 8
    """A rotation, scaled or not, in each plane of the coordinates i and i + n/2, as of RoPE."""
    FIXED = 16
    """Q = 1."""

    @property
    def permutes(self) -> bool:
        """Whether only places move: every number stays what it is."""
        return bool(self & Conditions.FIXED) or PERMUTATION in self


PERMUTATION = Conditions.SPARSE | Conditions.ORTHOGONAL
"""What elementwise functions allow, and all that is exact on integers."""
