"""Routers under a key: the experts of the largest gates, which move with their router's rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from nesa.privacy.equivariant.conditions import PERMUTATION
from nesa.privacy.equivariant.graphs import infer_graph, transform_graph
from nesa.privacy.equivariant.keys import EquivariantKey
from tests.privacy.equivariant.float_graphs import (
    LENGTH,
    WIDTH,
    Array,
    GraphBuilder,
    answer,
    error,
    moved,
    silu,
    through,
)

ROWS = ("x", (1, LENGTH, WIDTH), TensorProto.DOUBLE)
EXPERTS, CHOSEN, INNER = 6, 2, 5
KEYS = [EquivariantKey(bytes([seed]) * 32, bytes(32)) for seed in range(3)]


def gates(made: GraphBuilder, chosen: int = CHOSEN, **attributes: int) -> list[str]:
    """Shares and numbers [1, LENGTH, chosen] of the experts that a router likes most."""
    logits = made.add("MatMul", "x", made.weights(WIDTH, EXPERTS))
    values, numbers = made.add("TopK", logits, made.whole(chosen), outputs=2, **attributes)
    return [made.add("Softmax", values, axis=-1), numbers]


def spread(made: GraphBuilder) -> str:
    """The shares of all experts [1, LENGTH, EXPERTS], most of them 0."""
    shares, numbers = gates(made)
    hot = made.add("OneHot", numbers, made.whole(EXPERTS), made.constant([0.0, 1.0]))
    weighted = made.add("Mul", hot, made.add("Unsqueeze", shares, made.whole(3)))
    return made.add("ReduceSum", weighted, made.whole(2), keepdims=0)


def all_asked(made: GraphBuilder) -> str:
    """Every expert answers; the shares of those that were not chosen are 0."""
    shares = made.add(
        "Unsqueeze", made.add("Transpose", spread(made), perm=[2, 0, 1]), made.whole(3)
    )
    rows = made.add("Unsqueeze", "x", made.whole(0))
    inner = silu(made, made.add("MatMul", rows, made.weights(EXPERTS, 1, WIDTH, INNER)))
    outer = made.add("MatMul", inner, made.weights(EXPERTS, 1, INNER, WIDTH))
    return made.add("ReduceSum", made.add("Mul", outer, shares), made.whole(0), keepdims=0)


def looked_up(made: GraphBuilder) -> str:
    """The weights of the chosen experts alone are looked up by their numbers."""
    shares, numbers = gates(made)
    rows = made.add("Unsqueeze", "x", made.whole(2, 3))
    first = made.add("Gather", made.weights(EXPERTS, WIDTH, INNER), numbers)
    second = made.add("Gather", made.weights(EXPERTS, INNER, WIDTH), numbers)
    inner = silu(made, made.add("MatMul", rows, first))
    outer = made.add("Squeeze", made.add("MatMul", inner, second), made.whole(3))
    weighted = made.add("Mul", outer, made.add("Unsqueeze", shares, made.whole(3)))
    return made.add("ReduceSum", weighted, made.whole(2), keepdims=0)


def compared(made: GraphBuilder) -> str:
    """Each expert looks whether its number is among the chosen ones."""
    shares, numbers = gates(made)
    total = "x"
    for number in range(EXPERTS):
        mine = made.add("Equal", numbers, made.constant(number, np.int64))
        share = made.add("Mul", made.add("Cast", mine, to=TensorProto.DOUBLE), shares)
        held = made.add("ReduceSum", share, made.whole(2), keepdims=1)
        inner = silu(made, made.add("MatMul", "x", made.weights(WIDTH, INNER)))
        outer = made.add("MatMul", inner, made.weights(INNER, WIDTH))
        total = made.add("Add", total, made.add("Mul", outer, held))
    return total


def reckoned_with(made: GraphBuilder) -> str:
    """The numbers themselves are added to the shares."""
    shares, numbers = gates(made)
    return made.add("Add", shares, made.add("Cast", numbers, to=TensorProto.DOUBLE))


def in_pairs(made: GraphBuilder) -> str:
    """The gates go on in pairs as well, so that they cannot move as one."""
    logits = made.add("MatMul", "x", made.weights(WIDTH, EXPERTS))
    _, numbers = made.add("TopK", logits, made.whole(CHOSEN), outputs=2)
    pairs = made.reshape(logits, 1, LENGTH, 2, 3)
    normal = made.add("ReduceSum", made.add("Softmax", pairs, axis=-1), made.whole(3), keepdims=0)
    fourth = made.add("Equal", numbers, made.constant(4, np.int64))
    return made.add("Add", normal, made.add("Cast", fourth, to=TensorProto.DOUBLE))


def unsorted(made: GraphBuilder) -> str:
    """The chosen ones come in whatever order the runtime finds them."""
    shares, numbers = gates(made, sorted=0)
    held = made.add("Gather", made.weights(EXPERTS, 1), numbers)
    return made.add("Mul", shares, made.add("Squeeze", held, made.whole(3)))


def graph(build: Callable[[GraphBuilder], str]) -> onnx.ModelProto:
    made = GraphBuilder()
    return made.model([ROWS], [build(made)])


def rows(seed: int) -> list[Array]:
    return [np.random.default_rng(seed).normal(size=(1, LENGTH, WIDTH))]


def expert_rules(proto: onnx.ModelProto) -> set[int]:
    """What the axes of experts may take, but for those that stay."""
    leaves = infer_graph(proto).layouts.leaves()
    return {leaf.rules for leaf in leaves if leaf.size == EXPERTS and not leaf.stays}


@pytest.mark.parametrize("build", [all_asked, looked_up, compared])
def test_the_chosen_experts_move_with_the_rows_of_their_router(
    build: Callable[[GraphBuilder], str],
) -> None:
    proto = graph(build)
    assert expert_rules(proto) == {PERMUTATION}
    for seed, key in enumerate(KEYS):
        assert error(proto, rows(seed), key) < 1e-10


@pytest.mark.parametrize("build", [reckoned_with, in_pairs, unsorted])
def test_experts_whose_numbers_are_more_than_names_stay(
    build: Callable[[GraphBuilder], str],
) -> None:
    proto = graph(build)
    assert not expert_rules(proto)
    for seed, key in enumerate(KEYS):
        assert error(proto, rows(seed), key) < 1e-10


def test_each_expert_has_an_inner_layer_of_its_own_order() -> None:
    leaves = infer_graph(graph(all_asked)).layouts.leaves()
    (inner,) = (leaf for leaf in leaves if leaf.size == INNER and not leaf.stays)
    assert [size for _, size in inner.parents] == [EXPERTS]


def test_the_numbers_of_the_chosen_experts_are_decoded() -> None:
    made = GraphBuilder()
    shares, numbers = gates(made)
    proto = made.model([ROWS], [shares, numbers])
    proto.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    kept = 0
    for seed, key in enumerate(KEYS):
        given = rows(seed)
        (plain, chosen), (back, decoded) = answer(proto, given), through(proto, given, key)
        assert np.abs(plain - back).max() < 1e-10
        assert np.array_equal(chosen, decoded)
        made_of = transform_graph(proto, key)
        raw = answer(made_of.proto, made_of.frames.encode_inputs(key, given))[1]
        kept += np.array_equal(np.sort(raw, axis=None), np.sort(chosen, axis=None))
    assert kept < len(KEYS), "the node would read the plain numbers"
    assert moved(proto)


@pytest.mark.parametrize("number", [-1, EXPERTS])
def test_names_compared_with_what_is_none_of_them_stay(number: int) -> None:
    """A number that no place has cannot be renamed: the last place would be taken for -1."""
    made = GraphBuilder()
    _, numbers = gates(made)
    none = made.add("Equal", numbers, made.constant(number, np.int64))
    rows_of = made.add("Gather", made.weights(EXPERTS, 1), numbers)
    marked = made.add("Cast", none, to=TensorProto.DOUBLE)
    proto = made.model(
        [ROWS], [made.add("Add", marked, made.add("Squeeze", rows_of, made.whole(3)))]
    )
    assert not expert_rules(proto)
    for seed, key in enumerate(KEYS):
        assert error(proto, rows(seed), key) < 1e-10
