"""Plans against brute force."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.onnx_graphs.planning import best_cuts, plan
from nesa.protocol.errors import InvalidModel
from tests.models.onnx_graphs.graphs import SIZE, layers, saved, simple, weight
from tests.models.onnx_graphs.test_identity import half_precision

NAMES = "abcdef"


@st.composite
def cases(draw: st.DrawFn):
    pieces = draw(
        st.lists(st.frozensets(st.sampled_from(NAMES), max_size=3), min_size=1, max_size=8)
    )
    sizes = {name: draw(st.integers(0, 9)) for name in NAMES}
    boundaries = draw(st.lists(st.integers(0, 9), min_size=len(pieces), max_size=len(pieces)))
    return pieces, sizes, boundaries, draw(st.integers(1, len(pieces)))


def price(pieces, sizes, boundaries, cuts) -> tuple[int, int]:
    """Bytes of the largest shard, bytes on the boundaries."""
    ends = (0, *cuts, len(pieces))
    shards = [frozenset().union(*pieces[first:end]) for first, end in pairwise(ends)]
    largest = max(sum(sizes[name] for name in shard) for shard in shards)
    return largest, sum(boundaries[cut] for cut in cuts)


@given(cases())
def test_no_other_cut_is_cheaper(case):
    pieces, sizes, boundaries, shards = case
    cuts = best_cuts(pieces, sizes, boundaries, shards)
    assert len(cuts) == shards - 1
    every = combinations(range(1, len(pieces)), shards - 1)
    best = min(price(pieces, sizes, boundaries, other) for other in every)
    assert price(pieces, sizes, boundaries, cuts) == best


def test_a_shared_weight_counts_once_in_a_shard():
    pieces = [frozenset("a"), frozenset("a"), frozenset("b")]
    assert best_cuts(pieces, {"a": 5, "b": 5}, [0, 0, 9], 2) == (2,)


def test_equal_layers_are_dealt_out_equally(tmp_path: Path):
    graph = read_graph(saved(layers(6), tmp_path))
    ends = (0, *plan(graph, 3), len(graph.steps))
    weights = [
        set().union(*(step.weights for step in graph.steps[first:end]))
        for first, end in pairwise(ends)
    ]
    assert weights == [{"w0", "w1"}, {"w2", "w3"}, {"w4", "w5"}]


def test_a_cut_runs_where_few_bytes_cross(tmp_path: Path):
    nodes = [
        helper.make_node("MatMul", ["x", "wide"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Split", ["b"], ["c", "d"], axis=1),
        helper.make_node("MatMul", ["c", "narrow"], ["y"]),
    ]
    weights = [weight("wide", SIZE, 2 * SIZE), weight("narrow")]
    graph = read_graph(saved(simple(nodes, weights), tmp_path))
    row = 4 * SIZE * SIZE
    assert graph.boundary_bytes({}) == (row, 2 * row, 2 * row, row)
    assert plan(graph, 2) == (3,)


@pytest.mark.parametrize("shards", [0, 9])
def test_a_number_of_shards_that_is_not_offered_is_refused(shards: int, tmp_path: Path):
    graph = read_graph(saved(layers(6), tmp_path))
    with pytest.raises(InvalidModel, match="1 to 8 shards"):
        plan(graph, shards)


def test_too_few_places_are_told(tmp_path: Path):
    graph = read_graph(saved(half_precision(), tmp_path))
    with pytest.raises(InvalidModel, match="at 2 places, too few for 4 shards; half precision"):
        plan(graph, 4)
