"""How every operator of a float graph ties axes, and what transforms it commutes with.

`x W` undoes on the axis that it sums over what was done to it: there the weights take the dual of
the transform of `x`. Elementwise functions allow permutations, those without an offset (ReLU)
positive scales as well, and sums anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise, zip_longest
from typing import Final, TypeAlias

from onnx import NodeProto

from nesa.models.simplifying.network import Network, attribute
from nesa.privacy.equivariant.axes import Axes, Axis, AxisTies, size_of
from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.moves import Array
from nesa.privacy.equivariant.patterns import norm_conditions
from nesa.privacy.equivariant.preparing import NORMS
from nesa.protocol.errors import InvalidModel, NesaError


@dataclass(slots=True)
class Reading:
    """What is known of a graph so far.

    `parameters` are the axes of constants that move. Whole numbers that come from an input `roots`
    and are looked up by are names; where they are reckoned with as well they are `numbers`, and
    constants that they are compared with are `renamed` along.
    """

    ties: AxisTies
    network: Network
    axes: dict[str, Axes] = field(default_factory=dict)
    parameters: dict[str, Axes] = field(default_factory=dict)
    names: dict[str, Axis] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)

    def operand(self, name: str) -> Axes:
        """The axes of a tensor; a constant gets new ones and moves along."""
        if name in self.axes:
            return self.axes[name]
        if name not in self.parameters:
            values = self.network.constants[name]
            # Whole numbers and truths may change places and nothing else.
            rules = Conditions.NONE if values.dtype.kind == "f" else PERMUTATION
            self.parameters[name] = tuple(self.ties.new(size, rules) for size in values.shape)
        return self.parameters[name]

    def constant(self, name: str) -> Array | None:
        """The values of a constant; None for what is computed."""
        return None if name in self.axes else self.network.constants.get(name)

    def narrow_to_planes(self, axis: Axis) -> None:
        """Leave an axis the rotations of a rotary embedding."""
        self.ties.narrow(axis, Conditions.PLANES)

    def use_as_number(self, name: str, node: NodeProto) -> None:
        """A name that is anything but looked up or compared with is a number."""
        if name in self.roots and not _keeps_names(self, node, name):
            self.numbers.add(self.roots[name])


Rule: TypeAlias = Callable[[Reading, NodeProto], Sequence[Axes]]
"""The axes of a node's outputs."""

VIEWS: Final = (
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Slice", "Expand"),
)


def read_node(reading: Reading, node: NodeProto) -> None:
    """Read one node: its ties, conditions and outputs.

    Raises:
        InvalidModel: no rule knows the node, and the shapes of its outputs are not known either; or
            it is not what ONNX allows.
    """
    rule = _RULES.get(node.op_type, _unknown) if node.domain in _DOMAINS else _unknown
    try:
        outputs = rule(reading, node)
    except NesaError:
        raise
    except (AssertionError, LookupError, StopIteration, TypeError, ValueError) as error:
        raise InvalidModel(f"{node.op_type} {node.name} cannot be read: {error}") from error
    for name, axes in zip(node.output, outputs, strict=False):
        if name:
            reading.axes[name] = axes
            if node.op_type in VIEWS and node.input[0] in reading.roots:
                reading.roots[name] = reading.roots[node.input[0]]


def _keeps_names(reading: Reading, node: NodeProto, name: str) -> bool:
    if node.op_type == "Gather":
        return node.input[1] == name and reading.constant(node.input[0]) is not None
    if node.op_type != "Equal":
        return False
    other = node.input[1] if node.input[0] == name else node.input[0]
    values = reading.constant(other)
    return values is not None and values.size == 1


def _unknown(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Everything that it touches stays as it is."""
    for name in node.input:
        if name in reading.axes:
            reading.ties.freeze(*reading.axes[name])
    made = []
    for name in node.output:
        shape = reading.network.shape(name)
        if not shape or not all(shape):
            raise InvalidModel(
                f"no rule knows {node.op_type} {node.name}, and its shape is not known; give the "
                "graph's inputs fixed sizes"
            )
        made.append(tuple(map(reading.ties.fixed, shape)))
    return made


def _aligned(tensors: Sequence[Axes]) -> list[tuple[Axis, ...]]:
    """The axes of several tensors next to each other, the last ones together; shorter is wider."""
    turned = [tuple(reversed(axes)) for axes in tensors]
    return list(zip_longest(*turned, fillvalue=()))[::-1]


def _elementwise(
    reading: Reading, names: Sequence[str], both: Conditions, one: Conditions
) -> Sequence[Axes]:
    """Tensors that meet place by place: `both` where several have an axis, `one` where an axis of
    one meets a single number of another."""
    made = []
    for axes in _aligned([reading.operand(name) for name in names]):
        present = [axis for axis in axes if axis]
        for other in present[1:]:
            reading.ties.tie(present[0], other)
        axis = present[0] if present else ()
        reading.ties.narrow(axis, both if len(present) == len(axes) else one)
        if len(present) not in (1, len(axes)):
            reading.ties.narrow(axis, both)
        made.append(axis)
    return (tuple(made),)


def _sum(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Any transform goes through a sum; what is added to all places must fix the ones."""
    left = [name for name in node.input if not _is_nothing(reading, node, name)]
    if len(left) == 1:
        return (reading.operand(left[0]),)
    return _elementwise(reading, left, Conditions.NONE, PERMUTATION)


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


def _product(reading: Reading, node: NodeProto) -> Sequence[Axes]:
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
    return _elementwise(reading, node.input, PERMUTATION, Conditions.NONE)


def _quotient(reading: Reading, first: str, second: str) -> Sequence[Axes]:
    """Linear in what is divided, along axes that the divisor does not have."""
    made = _elementwise(reading, (first, second), PERMUTATION, Conditions.NONE)
    for axis in reading.operand(second):
        reading.ties.narrow(axis, PERMUTATION)
    return made


def _pointwise(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Any function of single numbers, or of several that meet: permutations."""
    if node.op_type == "Equal":
        _rename(reading, node)
        names = [name for name in node.input if name not in reading.renamed]
        return _elementwise(reading, names, PERMUTATION, PERMUTATION)
    left = [name for name in node.input if name and not _is_single(reading, name)]
    return _elementwise(reading, left, PERMUTATION, PERMUTATION)


def _is_single(reading: Reading, name: str) -> bool:
    values = reading.constant(name)
    return values is not None and values.size == 1


def _rename(reading: Reading, node: NodeProto) -> None:
    for name, other in (tuple(node.input), tuple(reversed(node.input))):
        if name in reading.roots and _is_single(reading, other):
            reading.renamed[other] = reading.roots[name]


def _rectifier(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """`f(s x) = s f(x)` for positive s: a permutation times a positive diagonal."""
    axes = reading.operand(node.input[0])
    for axis in axes:
        reading.ties.narrow(axis, Conditions.SPARSE)
    return (axes,)


def _linear_view(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    return (reading.operand(node.input[0]),)


def _cast(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Between floats nothing happens; to and from whole numbers and truth, permutations."""
    axes = reading.operand(node.input[0])
    is_float = attribute(node, "to", 0) in (1, 10, 11, 16)
    if not is_float or node.input[0] in reading.roots:
        for axis in axes:
            reading.ties.narrow(axis, PERMUTATION)
    return (axes,)


def _mat_mul(reading: Reading, node: NodeProto) -> Sequence[Axes]:
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
    for one, other in _aligned([first[:-2], second[:-2]]):
        if one and other:
            ties.tie(one, other)
            ties.narrow(one, PERMUTATION)
        batch.append(one or other)
    ties.array((*batch, first[-1]))
    return (*batch, first[-2], second[-1])


def _gemm(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    first, second = (reading.operand(name) for name in node.input[:2])
    left = tuple(reversed(first)) if attribute(node, "transA", 0) else first
    right = tuple(reversed(second)) if attribute(node, "transB", 0) else second
    made = _contracted(reading, left, right)
    if len(node.input) < 3 or not node.input[2]:
        return (made,)
    for axis, other in _aligned([made, reading.operand(node.input[2])]):
        if other:
            reading.ties.tie(axis, other)
        else:
            reading.ties.narrow(axis, PERMUTATION)
    return (made,)


def _conv(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Any mixture of channels; rows and columns stay, and groups go together."""
    ties, source = reading.ties, reading.operand(node.input[0])
    weights = reading.constant(node.input[1])
    shape = reading.network.shape(node.output[0])
    if weights is None or not shape or not all(shape):
        return _unknown(reading, node)
    count = attribute(node, "group", 1)
    assert isinstance(count, int)
    groups, inner = ties.new(count, PERMUTATION), ties.new(weights.shape[1])
    outer = ties.new(weights.shape[0] // count)
    ties.tie(source[1], groups + inner)
    kernel = tuple(map(ties.fixed, weights.shape[2:]))
    ties.freeze(*source[2:])
    ties.narrow(source[0], PERMUTATION)
    reading.parameters[node.input[1]] = (groups + outer, ties.dual(inner), *kernel)
    if len(node.input) > 2 and node.input[2]:
        reading.parameters[node.input[2]] = (groups + outer,)
    return ((source[0], groups + outer, *map(ties.fixed, shape[2:])),)


def _pool(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Channels by themselves; the largest of a window allows positive scales, a mean anything."""
    source, shape = reading.operand(node.input[0]), reading.network.shape(node.output[0])
    if not shape or not all(shape) or len(node.output) > 1:
        return _unknown(reading, node)
    reading.ties.freeze(*source[2:])
    reading.ties.narrow(source[0], PERMUTATION)
    if "Max" in node.op_type:
        reading.ties.narrow(source[1], Conditions.SPARSE)
    return ((*source[:2], *map(reading.ties.fixed, shape[2:])),)


def _batch_norm(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    source = reading.operand(node.input[0])
    for name in node.input[1:]:
        reading.ties.tie(source[1], reading.operand(name)[0])
    for axis in source:
        reading.ties.narrow(axis, PERMUTATION)
    return (source,)


def _softmax(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes = reading.operand(node.input[0])
    for axis in axes:
        reading.ties.narrow(axis, PERMUTATION)
    return (axes,)


def _norm(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """With a gain only permutations, the gain along; without one see `norm_conditions`."""
    axes = reading.operand(node.input[0])
    last = attribute(node, "axis", -1) in (-1, len(axes) - 1)
    if not last or len(node.output) > 1:
        return _unknown(reading, node)
    for axis in axes[:-1]:
        reading.ties.narrow(axis, PERMUTATION)
    gain, *offset = (reading.constant(name) for name in node.input[1:] if name)
    plain = gain is not None and bool((gain == 1).all())
    if plain and not any(one is None or one.any() for one in offset):
        reading.ties.narrow(axes[-1], norm_conditions(node.op_type))
        return (axes,)
    for name in filter(None, node.input[1:]):
        reading.ties.tie(axes[-1], reading.operand(name)[-1])
    reading.ties.narrow(axes[-1], PERMUTATION)
    return (axes,)


def _reduction(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Sums and means of permuted places are those of the places."""
    axes = reading.operand(node.input[0])
    reduced = _listed(reading, node, "axes", 1)
    if not reduced and attribute(node, "noop_with_empty_axes", 0):
        return _unknown(reading, node)
    places = {place % len(axes) for place in reduced} if reduced else set(range(len(axes)))
    is_linear = node.op_type in ("ReduceSum", "ReduceMean")
    for place, axis in enumerate(axes):
        if place in places or not is_linear:
            reading.ties.narrow(axis, PERMUTATION)
    kept = bool(attribute(node, "keepdims", 1))
    made = [() if place in places else axis for place, axis in enumerate(axes)]
    return (tuple(a for place, a in enumerate(made) if kept or place not in places),)


def _reshape(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes, shape = reading.operand(node.input[0]), _new_shape(reading, node)
    return (reading.ties.regrouped(axes, shape),)


def _new_shape(reading: Reading, node: NodeProto) -> list[int]:
    """The shape that a view gives."""
    sizes = [max(size_of(axis), 1) for axis in reading.operand(node.input[0])]
    match node.op_type:
        case "Flatten":
            place = attribute(node, "axis", 1)
            assert isinstance(place, int)
            return [math.prod(sizes[:place]), math.prod(sizes[place:])]
        case "Squeeze":
            listed = {place % len(sizes) for place in _listed(reading, node, "axes", 1)}
            return [s for i, s in enumerate(sizes) if i not in listed and (listed or s > 1)]
        case "Unsqueeze":
            listed_axes = _listed(reading, node, "axes", 1)
            rank = len(sizes) + len(listed_axes)
            added, rest = {place % rank for place in listed_axes}, iter(sizes)
            return [1 if place in added else next(rest) for place in range(rank)]
        case _:
            given = _listed(reading, node, "shape", 1)
            shape = [sizes[i] if size == 0 else size for i, size in enumerate(given)]
            known = math.prod(size for size in shape if size > 0)
            return [math.prod(sizes) // known if size < 0 else size for size in shape]


def _listed(reading: Reading, node: NodeProto, name: str, place: int) -> list[int]:
    """Whole numbers of an attribute, or of a constant input in newer opsets."""
    found = attribute(node, name, None)
    if isinstance(found, list):
        return [int(one) for one in found]
    if len(node.input) <= place or not node.input[place]:
        return []
    values = reading.constant(node.input[place])
    if values is None:
        raise InvalidModel(f"{node.op_type} {node.name} has {name} that are worked out as it runs")
    return [int(one) for one in values.reshape(-1)]


def _transpose(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes = reading.operand(node.input[0])
    order = _listed(reading, node, "perm", 9) or list(reversed(range(len(axes))))
    return (tuple(axes[place] for place in order),)


def _expand(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """All places of a new axis are alike, whatever their order."""
    axes, shape = reading.operand(node.input[0]), _listed(reading, node, "shape", 1)
    rank = max(len(axes), len(shape))
    held = ((),) * (rank - len(axes)) + axes
    wanted = [1] * (rank - len(shape)) + shape
    pairs = zip(held, wanted, strict=True)
    return (tuple(axis or reading.ties.new(size, PERMUTATION) for axis, size in pairs),)


def _concat(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    tensors = [reading.operand(name) for name in node.input]
    place = attribute(node, "axis", 0)
    assert isinstance(place, int)
    first = tensors[0]
    place %= len(first)
    for other in tensors[1:]:
        for axis, pair in enumerate(zip(first, other, strict=True)):
            if axis != place:
                reading.ties.tie(*pair)
    joined = reading.ties.joined([axes[place] for axes in tensors])
    return ((*first[:place], joined, *first[place + 1 :]),)


def _slice(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes = list(reading.operand(node.input[0]))
    starts, stops = _listed(reading, node, "starts", 1), _listed(reading, node, "ends", 2)
    places = _listed(reading, node, "axes", 3) or list(range(len(starts)))
    steps = _listed(reading, node, "steps", 4) or [1] * len(starts)
    if set(steps) != {1}:
        return _unknown(reading, node)
    for start, stop, place in zip(starts, stops, places, strict=True):
        size = max(size_of(axes[place]), 1)
        begin, end = (min(max(at + size if at < 0 else at, 0), size) for at in (start, stop))
        axes[place] = reading.ties.sliced(axes[place], begin, end)
    return (tuple(axes),)


def _split(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes = reading.operand(node.input[0])
    place = attribute(node, "axis", 0)
    assert isinstance(place, int)
    place %= len(axes)
    size, count = size_of(axes[place]), len(node.output)
    even = -(-size // count)
    sizes = _listed(reading, node, "split", 1) or [even] * (count - 1) + [size - even * (count - 1)]
    ends = accumulate(sizes, initial=0)
    parts = [reading.ties.sliced(axes[place], *pair) for pair in pairwise(ends)]
    return [(*axes[:place], part, *axes[place + 1 :]) for part in parts]


def _gather(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """Rows of a constant by names; a place of a tensor by a number leaves that axis as it is."""
    table, index = node.input
    place = attribute(node, "axis", 0)
    assert isinstance(place, int)
    if reading.constant(table) is not None and place == 0 and index in reading.axes:
        return _looked_up(reading, table, index)
    values = reading.constant(index)
    if values is None or table not in reading.axes:
        return _unknown(reading, node)
    axes = reading.operand(table)
    place %= len(axes)
    reading.ties.freeze(axes[place])
    taken = tuple(map(reading.ties.fixed, values.shape))
    return ((*axes[:place], *taken, *axes[place + 1 :]),)


def _looked_up(reading: Reading, table: str, index: str) -> Sequence[Axes]:
    held, places = reading.operand(table), reading.operand(index)
    root = reading.roots.get(index)
    names = held[0] if root is None else reading.names.setdefault(root, held[0])
    if root is None or size_of(names) != size_of(held[0]):
        reading.ties.freeze(held[0], names)
    else:
        reading.ties.tie(held[0], names)
    for axis in (held[0], *places):
        reading.ties.narrow(axis, PERMUTATION)
    return ((*places, *held[1:]),)


_DOMAINS: Final = ("", "ai.onnx", "com.microsoft")
"""Where an operator's name means what it says."""

_POINTWISE: Final = (
    *("Abs", "Acos", "And", "Asin", "Atan", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Elu", "Equal"),
    *("Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish"),
    *("IsNaN", "Less", "LessOrEqual", "Log", "Max", "Min", "Mish", "Not", "Or", "Pow", "PRelu"),
    *("QuickGelu", "Reciprocal", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus"),
    *("Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor"),
)

_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(_POINTWISE, _pointwise),
    **dict.fromkeys(("Relu", "LeakyRelu"), _rectifier),
    **dict.fromkeys(("Neg", "Identity", "Dropout"), _linear_view),
    **dict.fromkeys(("Add", "Sub", "Sum"), _sum),
    **dict.fromkeys(("Mul", "Div"), _product),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"), _pool),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(NORMS, _norm),
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"), _reduction),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Concat": _concat,
    "Conv": _conv,
    "Expand": _expand,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
    "Slice": _slice,
    "Split": _split,
    "Transpose": _transpose,
}
