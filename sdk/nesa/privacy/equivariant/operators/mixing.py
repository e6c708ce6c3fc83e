"""Operators that mix places: products with weights and of tensors, norms, sums, lookups.

`x W` undoes on the axis that it sums over what was done to it: there the weights take the dual of
the transform of `x`.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from nesa.models.simplifying.network import attribute
from nesa.privacy.equivariant.axes import Axes, size_of
from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.operators.reading import Reading, aligned, listed, untouched
from nesa.privacy.equivariant.patterns import norm_conditions


def mat_mul(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    first, second = map(reading.operand, node.input)
    if len(second) == 1:
        return (_contracted(reading, first, (*second, ()))[:-1],)
    if len(first) == 1:
        made = _contracted(reading, ((), *first), second)
        return ((*made[:-2], made[-1]),)
    return (_contracted(reading, first, second),)


def _contracted(reading: Reading, first: Axes, second: Axes) -> Axes:
    """`sum_k x[.., i, k] z[.., k, j]`: the axis k of one is the dual of the other's."""
    ties = reading.ties
    ties.tie(first[-1], ties.dual(second[-2]))
    batch = []
    for one, other in aligned([first[:-2], second[:-2]]):
        if one and other:
            ties.tie(one, other)
            ties.narrow(one, PERMUTATION)
        batch.append(one or other)
    ties.meet((*batch, first[-1]))
    ties.mixed((*batch, first[-2]), first[-1])
    ties.mixed((*batch, second[-1]), first[-1])
    return (*batch, first[-2], second[-1])


def gemm(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    first, second = (reading.operand(name) for name in node.input[:2])
    left = tuple(reversed(first)) if attribute(node, "transA", 0) else first
    right = tuple(reversed(second)) if attribute(node, "transB", 0) else second
    made = _contracted(reading, left, right)
    if len(node.input) < 3 or not node.input[2]:
        return (made,)
    for axis, other in aligned([made, reading.operand(node.input[2])]):
        if other:
            reading.ties.tie(axis, other)
        else:
            reading.ties.narrow(axis, PERMUTATION)
    return (made,)


def conv(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Any mixture of channels; rows and columns stay, and groups go together."""
    ties, source = reading.ties, reading.operand(node.input[0])
    weights = reading.constant(node.input[1])
    shape = reading.network.shape(node.output[0])
    if weights is None or not shape or not all(shape):
        return untouched(reading, node)
    count = attribute(node, "group", 1)
    assert isinstance(count, int)
    groups, inner = ties.new(count, PERMUTATION), ties.new(weights.shape[1])
    outer = ties.new(weights.shape[0] // count)
    ties.tie(source[1], groups + inner)
    ties.mixed((groups,), inner)
    ties.meet((groups, outer))
    kernel = tuple(map(ties.fixed, weights.shape[2:]))
    ties.freeze(*source[2:])
    ties.narrow(source[0], PERMUTATION)
    reading.parameters[node.input[1]] = (groups + outer, ties.dual(inner), *kernel)
    if len(node.input) > 2 and node.input[2]:
        reading.parameters[node.input[2]] = (groups + outer,)
    return ((source[0], groups + outer, *map(ties.fixed, shape[2:])),)


def pool(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Channels by themselves; the largest of a window allows positive scales, a mean anything."""
    source, shape = reading.operand(node.input[0]), reading.network.shape(node.output[0])
    if not shape or not all(shape) or len(node.output) > 1:
        return untouched(reading, node)
    reading.ties.freeze(*source[2:])
    reading.ties.narrow(source[0], PERMUTATION)
    if "Max" in node.op_type:
        reading.ties.narrow(source[1], Conditions.SPARSE)
    return ((*source[:2], *map(reading.ties.fixed, shape[2:])),)


def batch_norm(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    source = reading.operand(node.input[0])
    for name in node.input[1:]:
        reading.ties.tie(source[1], reading.operand(name)[0])
    for axis in source:
        reading.ties.narrow(axis, PERMUTATION)
    return (source,)


def norm(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """With a gain only permutations, the gain along; without one see `norm_conditions`."""
    axes = reading.operand(node.input[0])
    last = attribute(node, "axis", -1) in (-1, len(axes) - 1)
    if not last or len(node.output) > 1:
        return untouched(reading, node)
    for axis in axes[:-1]:
        reading.ties.narrow(axis, PERMUTATION)
    reading.ties.mixed(axes[:-1], axes[-1])
    gain, *offset = (reading.constant(name) for name in node.input[1:] if name)
    plain = gain is not None and bool((gain == 1).all())
    if plain and not any(one is None or one.any() for one in offset):
        reading.ties.narrow(axes[-1], norm_conditions(node.op_type))
        return (axes,)
    for name in filter(None, node.input[1:]):
        reading.ties.tie(axes[-1], reading.operand(name)[-1])
    reading.ties.narrow(axes[-1], PERMUTATION)
    return (axes,)


def reduction(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Sums and means of permuted places are those of the places."""
    axes = reading.operand(node.input[0])
    reduced = listed(reading, node, "axes", 1)
    if not reduced and attribute(node, "noop_with_empty_axes", 0):
        return untouched(reading, node)
    places = {place % len(axes) for place in reduced} if reduced else set(range(len(axes)))
    is_linear = node.op_type in ("ReduceSum", "ReduceMean")
    for place, axis in enumerate(axes):
        if place in places or not is_linear:
            reading.ties.narrow(axis, PERMUTATION)
    kept = bool(attribute(node, "keepdims", 1))
    made = [() if place in places else axis for place, axis in enumerate(axes)]
    return (tuple(a for place, a in enumerate(made) if kept or place not in places),)


def gather(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Rows of a constant by names; a place of a tensor by a number leaves that axis as it is."""
    table, index = node.input
    place = attribute(node, "axis", 0)
    assert isinstance(place, int)
    if reading.constant(table) is not None and place == 0 and index in reading.axes:
        return _looked_up(reading, table, index)
    values = reading.constant(index)
    if values is None or table not in reading.axes:
        return untouched(reading, node)
    axes = reading.operand(table)
    place %= len(axes)
    reading.ties.freeze(axes[place])
    taken = tuple(map(reading.ties.fixed, values.shape))
    return ((*axes[:place], *taken, *axes[place + 1 :]),)


def _looked_up(reading: Reading, table: str, index: str) -> Sequence[Axes]:
    held, places = reading.operand(table), reading.operand(index)
    reading.ties.meet(held[1:])
    root = reading.roots.get(index)
    names = held[0] if root is None else reading.names.setdefault(root, held[0])
    if root is None or size_of(names) != size_of(held[0]):
        reading.ties.freeze(held[0], names)
    else:
        reading.ties.tie(held[0], names)
    for axis in (held[0], *places):
        reading.ties.narrow(axis, PERMUTATION)
    return ((*places, *held[1:]),)
