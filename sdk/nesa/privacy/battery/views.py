"""What an observer of private queries holds, and what everybody knows.

Requests are rows of items: token ids at their places for a model that reads text; for every other
model one item, the number of a record in a list of candidates that the attacker suspects. Depth 0
is what enters the first operator that works on numbers; further depths are numbered by the mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.shares import Shares

Items = NDArray[np.int64]
Floats = NDArray[np.float32]
Weights = NDArray[Any]
Counts = NDArray[np.int64]

States = Callable[[Items, int], Floats]
"""Items [n, places] and a depth to activations [n, places, width]."""


class Observer(Enum):
    """Who looks, in which mode; each sees no more than its `View`."""

    OPEN_MEMBER = "OPEN, anybody"
    SEALED_OUTSIDER = "SEALED, who was not drawn"
    SEALED_MEMBER = "SEALED, a drawn member"
    PERMUTED_MEMBER = "EQUIVARIANT by permutation, public weights"
    ROTATED_MEMBER = "EQUIVARIANT by rotation, public weights"
    PERMUTED_PRIVATE = "EQUIVARIANT by permutation, private weights"
    ROTATED_PRIVATE = "EQUIVARIANT by rotation, private weights"
    SPLIT_MEMBER = "SPLIT, the network's part"
    SPLIT_PRIVATE = "SPLIT, the network's part, private first layers"
    SHARED_MEMBER = "SHARED, one group"
    SHARED_COLLUDING = "SHARED, both groups together"

    @property
    def knows_model(self) -> bool:
        """Whether the plain weights are public; otherwise nobody but the client has them."""
        return self not in (
            Observer.PERMUTED_PRIVATE,
            Observer.ROTATED_PRIVATE,
            Observer.SPLIT_PRIVATE,
        )


class Hidden(Enum):
    """By what activations and weights differ from those of the public model."""

    NOTHING = "nothing"
    CHANNELS = "order of channels"
    BASIS = "basis of channels"


@dataclass(frozen=True, slots=True, eq=False)
class Public:
    """What anybody can download, run and read: the attacker has all of it.

    `table` [vocabulary, width] is the embedding and `layers` are weights [rows, channels] that
    read the states of a depth, both as published. `text` [m, places] are requests of the same kind
    that the attacker wrote or found. `known` [places] are items that stand at their place in every
    request, -1 where none does, and `common` items that say nothing, such as padding; they are
    never counted as recovered. A causal model's state at a place depends on no later place.
    `constants` [places, k] are what the model holds for each place: its angles, its row of a mask.
    """

    vocabulary: int
    states: States
    text: Items
    known: Items
    common: frozenset[int] = frozenset()
    table: Floats | None = None
    layers: Mapping[int, Weights] = field(default_factory=dict)
    causal: bool = False
    constants: Weights | None = None

    @property
    def places(self) -> int:
        """Items of one request."""
        return int(self.known.size)

    @property
    def is_text(self) -> bool:
        """Whether items are tokens."""
        return self.table is not None

    def counted(self, items: Items) -> NDArray[np.bool_]:
        """Which of the items [n, places] it would be news to read."""
        return np.asarray((self.known < 0) & ~np.isin(items, list(self.common)))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What one observer holds of n requests; what it does not hold is empty.

    `identifiers` [n, places] are item numbers as they pass. `states` are activations by depth
    [k, places, width], of the first k requests; `shares` are what is sent in place of them, and
    `begun` those of more requests, of which the first round was asked and no other.
    `table` and `layers` are weights as they are held.
    `scattered` says that places lie in a secret order too, the same in all requests, and so do the
    `constants` of each.
    `masks` are numbers that follow from where the padding of the first k requests begins.
    `messages` are by their names bytes that pass for each of the first requests and have to look
    like noise. `counts` are by their names numbers [k] that anybody counts, and `seconds` how long
    each request took.
    """

    observer: Observer
    hidden: Hidden = Hidden.NOTHING
    identifiers: Items | None = None
    states: Mapping[int, Floats] = field(default_factory=dict)
    shares: Mapping[int, Shares] = field(default_factory=dict)
    begun: Mapping[int, Shares] = field(default_factory=dict)
    table: Weights | None = None
    layers: Mapping[int, Weights] = field(default_factory=dict)
    scattered: bool = False
    constants: Weights | None = None
    masks: Items | None = None
    messages: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    counts: Mapping[str, Counts] = field(default_factory=dict)
    seconds: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """What the requests [n, places] really were, to count with; no attack is given it.

    Requests 2i and 2i + 1 are a pair, and about every other pair begins alike in `alike` places.
    """

    items: Items
    alike: int = 1
