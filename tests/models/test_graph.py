"""What the operators root commits to, leaf by leaf."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.models.cut import cut_at, legal_positions
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.reference import run_shard, trace
from nesa.protocol.digests import bytes_root, inner_hash, leaf_hash, tensor_digest
from nesa.protocol.errors import InvalidModel
from tests.models.tables import small_network

ROW_TYPES = [
    *("uint32", "uint16", "int64[]", "uint32[]", "bytes32[]"),
    *("uint32", "bytes32", "bytes32[]"),
]


def test_the_root_of_weights_has_one_node_for_each_channel():
    weights = np.array([[1, -2, 3], [-127, 127, 0]])
    channels = [bytes_root(bytes([1, 254, 3])), bytes_root(bytes([129, 127, 0]))]
    assert Parameter(ParameterKind.WEIGHTS, weights).root == inner_hash(*channels)


def test_a_channel_has_one_leaf_for_256_operands():
    weights = np.arange(300).reshape(1, 300) % 100
    data = bytes(int(weight) for weight in weights[0])
    expected = inner_hash(leaf_hash(data[:256]), leaf_hash(data[256:]))
    assert Parameter(ParameterKind.WEIGHTS, weights).root == expected


@pytest.mark.parametrize(
    ("kind", "values", "data"),
    [
        (ParameterKind.BIASES, [-1, 2], b"\xff\xff\xff\xff\x02\0\0\0"),
        (ParameterKind.MULTIPLIERS, [64, 8191], b"\x40\0\0\0\xff\x1f\0\0"),
        (ParameterKind.ENTRIES, [-2, 258], b"\xfe\xff\x02\x01"),
    ],
)
def test_other_constants_are_little_endian_bytes(kind, values, data):
    parameter = Parameter(kind, np.array(values))
    assert (parameter.data, parameter.root) == (data, bytes_root(data))


def test_a_row_is_an_abi_encoded_leaf():
    table = small_network()
    row = table.rows[0]
    roots = [parameter.root for parameter in row.parameters]
    read = [[0], [table.inputs[0].pack()]]
    fields = [0, 2, row.attributes, *read, 1, row.output_type.pack(), roots]
    assert table.leaves[0] == keccak(b"\0" + encode(ROW_TYPES, fields))


def test_a_shard_is_a_row_behind_the_operators():
    table = cut_at(small_network(), [2])
    fields = [10, 255, [2, 9, 9], [2], [], 0, bytes(32), []]
    assert table.leaves[10] == keccak(b"\0" + encode(ROW_TYPES, fields))


def changed(table: Table, index: int, **fields) -> Table:
    """The table with one row changed."""
    row = replace(table.rows[index], **fields)
    return replace(table, rows=(*table.rows[:index], row, *table.rows[index + 1 :]))


def test_every_part_of_a_table_changes_its_root():
    table = small_network()
    weights, biases = table.rows[0].parameters
    one = np.zeros_like(weights.values)
    one[-1, -1] = 1
    other_weights = Parameter(ParameterKind.WEIGHTS, weights.values ^ one)
    variants = [
        table,
        changed(table, 0, parameters=(other_weights, biases)),
        changed(table, 0, parameters=(weights, replace(biases, values=biases.values + 1))),
        changed(table, 1, attributes=(3, 1)),
        changed(table, 1, output_type=replace(table.rows[1].output_type, high=254)),
        changed(table, 3, opcode=Opcode.SLICE),
        cut_at(table, [2]),
        cut_at(table, [3]),
    ]
    assert len({variant.operators_root for variant in variants}) == len(variants)


def test_the_root_of_a_known_table_stays_what_it_is():
    assert small_network().operators_root.hex() == ROOT


ROOT = "38b7dc83db06e2b7b1de43faa2777cc015a9cf3a4b3da0dfa0a6d3fc06bb5386"


def test_outputs_of_a_shard_are_the_inputs_of_the_next():
    table = cut_at(small_network(), legal_positions(small_network())[:7])
    for first, second in zip(table.shards[:-1], table.shards[1:], strict=True):
        assert (first.outputs, first.end) == (second.inputs, second.first)


@pytest.mark.parametrize("cuts", [(0,), (9,), (3, 3), (4, 2), (1, 2, 3, 4, 5, 6, 7, 8)])
def test_cuts_that_do_not_ascend_inside_the_table_are_refused(cuts):
    with pytest.raises(InvalidModel):
        cut_at(small_network(), cuts)


def test_a_trace_has_the_digest_of_every_row():
    table = small_network()
    edge = table.inputs[0]
    inputs = (edge.encode(np.full(edge.shape, 5)),)
    digests = trace(table, table.shards[0], inputs)
    (output,) = run_shard(table, table.shards[0], inputs)
    assert len(digests) == len(table.rows)
    assert digests[-1] == tensor_digest(table.rows[-1].output_type, output)
