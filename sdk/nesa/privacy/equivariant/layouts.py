"""How an array is laid out in atoms, in a form that a file can hold."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from nesa.models.card import Part
from nesa.privacy.equivariant.conditions import Conditions

Label = Annotated[int, Field(ge=-1)]
Size = Annotated[int, Field(ge=1, lt=2**32)]


class Leaf(Part):
    """A part of an axis whose places move together. `parents` are label and size of those parts
    on whose place its own transform depends; they have smaller labels."""

    kind: Literal["leaf"] = "leaf"
    label: Label
    size: Size
    conditions: Annotated[int, Field(ge=0, lt=32)]
    parents: tuple[tuple[Label, Size], ...] = ()
    dual: bool = False

    @property
    def rules(self) -> Conditions:
        """The conditions on its transform."""
        return Conditions(self.conditions)

    @property
    def stays(self) -> bool:
        """Whether it is left as it is."""
        return bool(self.rules & Conditions.FIXED)


class Joined(Part):
    """A part of an axis that is several behind each other."""

    kind: Literal["joined"] = "joined"
    segments: tuple[tuple[Annotated[Leaf | Joined, Field(discriminator="kind")], ...], ...]

    @property
    def size(self) -> int:
        """Places of all segments."""
        return sum(map(elements, self.segments))


Place = Annotated[Leaf | Joined, Field(discriminator="kind")]
Layout = tuple[Leaf | Joined, ...]
"""An array in C order, whatever its axes are."""


def elements(layout: Layout) -> int:
    """How many elements an array of this layout has."""
    return math.prod(place.size for place in layout)


def leaves_of(layout: Layout) -> tuple[Leaf, ...]:
    """All parts of an array that move together, those of segments too."""
    found: list[Leaf] = []
    for place in layout:
        match place:
            case Leaf():
                found.append(place)
            case Joined(segments=segments):
                found.extend(leaf for segment in segments for leaf in leaves_of(segment))
    return tuple(found)


def stays(layout: Layout) -> bool:
    """Whether a key changes nothing of an array."""
    return all(leaf.stays for leaf in leaves_of(layout))
