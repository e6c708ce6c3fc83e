"""Operators that take numbers place by place.

Functions of single numbers allow permutations, those without an offset (ReLU) positive scales as
well, and sums anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from nesa.models.simplifying.network import attribute
from nesa.privacy.equivariant.axes import Axes
from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.operators.reading import Reading, elementwise


def total(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Any transform goes through a sum; what is added to all places must fix the ones."""
    left = [name for name in node.input if not _is_nothing(reading, node, name)]
    if len(left) == 1:
        return (reading.operand(left[0]),)
    return elementwise(reading, left, Conditions.NONE, PERMUTATION)


def _is_nothing(reading: Reading, node: NodeProto, name: str) -> bool:
    """Whether adding a constant changes neither numbers nor shape."""
    values = reading.constant(name)
    if values is None or values.any():
        return False
    others = [reading.operand(other) for other in node.input if other != name]
    widest = max((len(axes) for axes in others), default=0)
    return values.ndim <= widest and _fits(values.shape, others)


def _fits(shape: Sequence[int], others: Sequence[Axes]) -> bool:
    return all(
        size == 1 or any(len(axes) > place and axes[-1 - place] for axes in others)
        for place, size in enumerate(reversed(shape))
    )


def product(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """A number times all of a tensor commutes with anything; places of both, with permutations."""
    first, second = node.input
    for name, other in ((first, second), (second, first)):
        values = reading.constant(name)
        if node.op_type == "Div" and name == first:
            continue
        if values is not None and (values == values.reshape(-1)[0]).all():
            axes = reading.operand(other)
            if _fits(values.shape, [axes]) and values.ndim <= len(axes):
                return (axes,)
    if node.op_type == "Div":
        return _quotient(reading, first, second)
    return elementwise(reading, node.input, PERMUTATION, Conditions.NONE)


def _quotient(reading: Reading, first: str, second: str) -> Sequence[Axes]:
    """Linear in what is divided, along axes that the divisor does not have."""
    made = elementwise(reading, (first, second), PERMUTATION, Conditions.NONE)
    for axis in reading.operand(second):
        reading.ties.narrow(axis, PERMUTATION)
    return made


def pointwise(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Any function of single numbers, or of several that meet: permutations."""
    if node.op_type == "Equal":
        _rename(reading, node)
        names = [name for name in node.input if name not in reading.renamed]
        return elementwise(reading, names, PERMUTATION, PERMUTATION)
    left = [name for name in node.input if name and not _is_single(reading, name)]
    return elementwise(reading, left, PERMUTATION, PERMUTATION)


def _is_single(reading: Reading, name: str) -> bool:
    values = reading.constant(name)
    return values is not None and values.size == 1


def _rename(reading: Reading, node: NodeProto) -> None:
    for name, other in (tuple(node.input), tuple(reversed(node.input))):
        if name in reading.roots and _is_single(reading, other):
            reading.renamed[other] = reading.roots[name]


def rectifier(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """`f(s x) = s f(x)` for positive s: a permutation times a positive diagonal."""
    axes = reading.operand(node.input[0])
    for axis in axes:
        reading.ties.narrow(axis, Conditions.SPARSE)
    return (axes,)


def passed(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    return (reading.operand(node.input[0]),)


def cast(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Between floats nothing happens; to and from whole numbers and truth, permutations."""
    axes = reading.operand(node.input[0])
    is_float = attribute(node, "to", 0) in (1, 10, 11, 16)
    if not is_float or node.input[0] in reading.roots:
        for axis in axes:
            reading.ties.narrow(axis, PERMUTATION)
    return (axes,)


def softmax(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Places of a row in any order, each row by itself."""
    axes = reading.operand(node.input[0])
    place = attribute(node, "axis", -1)
    assert isinstance(place, int)
    place %= len(axes)
    reading.ties.mixed((*axes[:place], *axes[place + 1 :]), axes[place])
    reading.ties.array(axes[:place])  # old opsets mix all that is behind
    for axis in axes:
        reading.ties.narrow(axis, PERMUTATION)
    return (axes,)
