"""Layers that exporters write out as many nodes, of which each alone would allow less than all do.

`(x - mean) / sqrt(mean((x - mean)**2))` commutes with rotations, its square does not; a rotary
embedding commutes with rotations in its planes, its products with cosines do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from nesa.models.simplifying.network import Network, attribute
from nesa.models.simplifying.norms import ROOT_MEAN_SQUARE, written_out
from nesa.privacy.equivariant.conditions import Conditions


@dataclass(frozen=True, slots=True)
class Norm:
    """Rows of `source` along its last axis, each brought to one length, or centred first."""

    source: str
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Rotary:
    """`source` turned in the planes of coordinates i and i + n/2; the angles are in the constants
    `cosines` and `sines` [.., n], by position."""

    source: str
    cosines: str
    sines: str


Pattern = Norm | Rotary


def pattern_of(network: Network, node: NodeProto) -> Pattern | None:
    """The layer that ends with this node."""
    if node.op_type in ("Div", "Mul"):
        return _norm(network, node)
    return _rotary(network, node) if node.op_type == "Add" else None


def norm_conditions(kind: str) -> Conditions:
    """What a norm without gain commutes with: lengths stay, and for LayerNorm the mean as well."""
    if kind == "LayerNormalization":
        return Conditions.ORTHOGONAL | Conditions.FIXING_ONES
    return Conditions.ORTHOGONAL


def _norm(network: Network, node: NodeProto) -> Norm | None:
    found = written_out(network, node)
    if found is None or found.axis != len(network.shape(found.source)) - 1:
        return None
    # A vector brought to length 1 is an RMSNorm too.
    assert found.kind in ("LayerNormalization", ROOT_MEAN_SQUARE)
    return Norm(found.source, norm_conditions(found.kind))


def _rotary(network: Network, node: NodeProto) -> Rotary | None:
    for straight, turned in (tuple(node.input), tuple(reversed(node.input))):
        first, second = network.made_by(straight, "Mul"), network.made_by(turned, "Mul")
        one = network.pair(first) if first is not None else None
        other = network.pair(second) if second is not None else None
        if first is None or second is None or one is None or other is None:
            continue
        if _is_half_turn(network, one[0], other[0]) and _is_twofold(one[1], other[1]):
            return Rotary(one[0], _other(first, one[0]), _other(second, other[0]))
    return None


def _other(node: NodeProto, name: str) -> str:
    return str(node.input[1] if node.input[0] == name else node.input[0])


def _is_twofold(*angles: NDArray[np.generic]) -> bool:
    """Whether both halves of the last axis hold the same numbers."""
    halves = [np.array_split(one, 2, axis=-1) for one in angles]
    return all(np.array_equal(first, second) for first, second in halves)


def _is_half_turn(network: Network, source: str, turned: str) -> bool:
    """Whether `turned` is the second half of `source` negated, then the first."""
    joined = network.made_by(turned, "Concat")
    rank, size = len(network.shape(source)), (network.shape(source) or (0,))[-1]
    if joined is None or len(joined.input) != 2 or size % 2 or not rank:
        return False
    if attribute(joined, "axis", None) not in (-1, rank - 1):
        return False
    negated = network.made_by(joined.input[0], "Neg")
    if negated is None:
        return False
    half = size // 2
    upper, lower = negated.input[0], joined.input[1]
    return _is_part(network, upper, source, half, size) and _is_part(
        network, lower, source, 0, half
    )


def _is_part(network: Network, name: str, source: str, start: int, stop: int) -> bool:
    """Whether a tensor holds these places of the last axis of another."""
    part = network.made_by(name, "Slice", "Split")
    if part is None or part.input[0] != source:
        return False
    rank, size = len(network.shape(source)), network.shape(source)[-1]
    if part.op_type == "Split":
        sizes = network.shape(name)[-1:]
        is_last = attribute(part, "axis", 0) in (-1, rank - 1)
        return is_last and sizes == (stop - start,) and (part.output[0] == name) == (start == 0)
    numbers = [network.constants.get(one) for one in part.input[1:]]
    if any(one is None or one.size != 1 for one in numbers) or len(numbers) < 3:
        return False
    begin, end, axis, *step = (int(one.reshape(-1)[0]) for one in numbers if one is not None)
    ends = min(end if end >= 0 else end + size, size)
    begins = begin if begin >= 0 else begin + size
    return axis in (-1, rank - 1) and step in ([], [1]) and (begins, ends) == (start, stop)
