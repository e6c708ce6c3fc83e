"""Costs of tables and graphs: counted by hand, never above memory's truth, and thinned fairly."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from nesa.models.folder import load
from nesa.models.lowering import runtime_model
from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.placement.costs import Arithmetic
from nesa.models.placement.graph_costs import graph_costs
from nesa.models.placement.table_costs import multiply_adds, table_costs
from tests.models.byte_tables import dense
from tests.models.encoder import encoder
from tests.models.onnx_graphs.graphs import layers, saved


def test_products_of_the_mlp_are_those_of_its_layers():
    table = load(Path("models/breast-cancer-mlp")).table
    assert sum(map(multiply_adds, table.rows)) == 30 * 64 + 64 * 32 + 32 * 2
    costs = table_costs(table)
    assert costs.places == (0, 1, 2, 3, 4, 5, 6)
    assert costs.boundary_bytes[0] == 30
    assert costs.memory[0, -1] >= costs.weight_bytes


def test_large_dense_layers_of_a_table_are_bytes():
    """Priced as they are lowered: one product of bytes, weights of a byte, no cut in between."""
    table = dense("int8", "uint8", 0)
    costs = table_costs(table)
    product, rescale = costs.operators
    assert product.arithmetic is Arithmetic.INT8
    assert product.multiply_adds == 5 * 256 * 160
    assert (rescale.multiply_adds, rescale.moved_bytes, rescale.nodes) == (0, 0, 0)
    file = onnx.load_model_from_string(runtime_model(table, table.shards[0]))
    assert product.nodes == len(file.graph.node) - 1  # all but the Identity at the end
    weights = next(one for one in file.graph.initializer if list(one.dims) == [256, 160])
    assert weights.data_type == onnx.TensorProto.UINT8
    assert costs.weight_bytes == 256 * 160 + 2 * 160 * 4
    assert costs.places == (0, 2)


def test_wide_sums_of_a_table_are_float64():
    kinds = {one.arithmetic for one in table_costs(encoder()).operators}
    assert kinds == {Arithmetic.FLOAT32, Arithmetic.FLOAT64}


def test_products_and_weights_of_a_graph(tmp_path):
    costs = graph_costs(read_graph(saved(layers(5), tmp_path)), {})
    assert sum(one.multiply_adds for one in costs.operators) == 5 * 18 * 18
    assert costs.weight_bytes == 5 * 18 * 18 * 4
    assert costs.legal == len(costs.places) - 2 == 10


@pytest.mark.parametrize("most", [3, 5, 9])
def test_thinning_keeps_the_ends_and_the_cheapest_boundary(most, tmp_path):
    costs = graph_costs(read_graph(saved(layers(8), tmp_path)), {})
    thin = costs.thinned(most)
    assert len(thin.places) <= most
    assert (thin.places[0], thin.places[-1]) == (costs.places[0], costs.places[-1])
    assert min(thin.boundary_bytes[1:-1]) == min(costs.boundary_bytes[1:-1])
    assert thin.memory[0, -1] == costs.memory[0, -1]
    assert thin.legal == costs.legal
