"""The search of memory knows the types that a query's numbers have while a miner calculates."""

from __future__ import annotations

import numpy as np
import onnx

from nesa.cli.demo.leaks import Trace, find
from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.lowering import runtime_model
from nesa.models.runtime import session
from nesa.protocol.edges import DType, EdgeType
from tests.end_to_end.insides import calculated


def test_token_ids_are_found_in_every_type_that_they_are_given() -> None:
    """Of a model that looks rows up, as a miner runs it, with every tensor in between."""
    edge, weights = EdgeType(DType.INT16, (1, 8), 0, 299), np.ones((300, 2), np.int64)
    builder = TableBuilder([edge])
    rows = [Parameter(ParameterKind.WEIGHTS, weights)]
    table = builder.table([builder.add(Opcode.EMBEDDING, [0], (300, 2), rows)])
    proto = onnx.load_model_from_string(runtime_model(table, table.shards[0]))
    made = [name for node in proto.graph.node for name in node.output]
    known = {one.name for one in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made if name not in known)
    ids = np.arange(291, 299).reshape(edge.shape)
    found = session(proto.SerializeToString()).run(made, {"x0": ids.astype(np.float32)})
    same = [one for one in found if one.shape == ids.shape and np.array_equal(one, ids)]
    assert [one.dtype for one in same] == [np.int64]
    spelled = calculated(edge.encode(ids), ids)
    assert all(find(spelled, [Trace("memory", one.tobytes())]) for one in same)
