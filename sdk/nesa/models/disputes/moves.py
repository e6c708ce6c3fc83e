"""What either side of a game can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nesa.models.judging import Opening


@dataclass(frozen=True, slots=True)
class LeafProof:
    """A leaf of a table and what leads from it to the operators root."""

    data: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Defend:
    """Commits to all values of a shard: its inputs, then what its rows write.

    `last` is the last leaf of the table, `shard` that of the shard, `first` that of its first row.
    `inputs` and `outputs` are tensor digests, which `siblings` lead to the root of the values;
    `nodes` are the first ones below it. `blind` is that of a sealed query's output.
    """

    last: LeafProof
    shard: LeafProof
    first: LeafProof
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    siblings: tuple[bytes, ...]
    nodes: tuple[bytes, ...]
    blind: bytes | None = None


@dataclass(frozen=True, slots=True)
class Show:
    """The nodes below the one that was picked."""

    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ShowRow:
    """The row that writes the value which was picked, and the first nodes of the value's tree."""

    row: LeafProof
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ShowLeaf:
    """The bytes of the leaf that was picked, 256 at most."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StateParts:
    """What each part of a contested claim is worth, in order."""

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pick:
    """Goes on below one of the nodes shown, counted from the left."""

    choice: int


@dataclass(frozen=True, slots=True)
class Contest:
    """Asks what the parts of a claim are worth; `claim` counts among those stated."""

    claim: int


@dataclass(frozen=True, slots=True)
class Operands:
    """The openings of all operands of a claim, a column each."""

    openings: tuple[Opening, ...]


@dataclass(frozen=True, slots=True)
class BetterPlace:
    """A place that beats the one which an ArgMax claims, and the opening of both."""

    place: int
    opening: Opening


@dataclass(frozen=True, slots=True)
class Convict:
    """Shows that a claim is wrong.

    `tensors` are the digests of the row's inputs, which `siblings` lead to the root of the values.
    """

    claim: int
    tensors: tuple[bytes, ...]
    siblings: tuple[bytes, ...]
    evidence: Operands | BetterPlace


DefenderMove: TypeAlias = Defend | Show | ShowRow | ShowLeaf | StateParts
ChallengerMove: TypeAlias = Pick | Contest | Convict
Move: TypeAlias = DefenderMove | ChallengerMove
