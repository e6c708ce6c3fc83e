"""What miners and the links between them can do, and how long a part takes there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from nesa.models.placement.costs import Arithmetic, OperatorCost, Seconds

MAX_MINERS: Final = 1024


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one miner can do with one thread.

    `rates` are multiply-adds a second of matrix products, `bandwidth` bytes of memory a second,
    `overhead` seconds that each node takes besides, `free_memory` bytes.
    """

    rates: Mapping[Arithmetic, float]
    bandwidth: float
    overhead: float
    free_memory: int

    def seconds(self, operators: Sequence[OperatorCost]) -> Seconds:
        """Time of each operator: `max(multiply-adds / rate, bytes / bandwidth) + nodes * overhead`.

        It is a sum of rooflines, one for each operator, since ONNX Runtime runs one after another.
        """
        rates = np.array([self.rates[one.arithmetic] for one in operators])
        products = np.array([one.multiply_adds for one in operators], np.float64)
        moved = np.array([one.moved_bytes for one in operators], np.float64)
        nodes = np.array([one.nodes for one in operators])
        busy = np.maximum(products / rates, moved / self.bandwidth)
        found: Seconds = busy + nodes * self.overhead
        return found


@dataclass(frozen=True, slots=True)
class Link:
    """The way between two miners: `round_trip` and `hop` in seconds, `bandwidth` in bytes a second.

    A message of n bytes takes `round_trip / 2 + n / bandwidth + hop`.
    """

    round_trip: float
    bandwidth: float
    hop: float = 0.0

    @property
    def delay(self) -> float:
        """Seconds that a message takes however short it is."""
        return self.round_trip / 2 + self.hop


@dataclass(frozen=True, slots=True)
class Miner:
    """One miner by name; `site` says where it stands, for links that are known by site only.

    `signer` is the address of whoever stated the capacity, empty where it is not signed.
    """

    name: str
    capacity: Capacity
    site: str = ""
    signer: str = ""


@dataclass(frozen=True, eq=False)
class Swarm:
    """All miners that may be asked, and the link from one to another."""

    miners: tuple[Miner, ...]
    link: Callable[[Miner, Miner], Link]

    @cached_property
    def delays(self) -> Seconds:
        """Seconds of delay from each miner to each, [miners, miners]."""
        return np.array([[self.link(a, b).delay for b in self.miners] for a in self.miners])

    @cached_property
    def byte_times(self) -> Seconds:
        """Seconds a byte from each miner to each, [miners, miners]."""
        return np.array([[1 / self.link(a, b).bandwidth for b in self.miners] for a in self.miners])
