"""Finds by changing a model's input which of its values tell of single elements."""

from __future__ import annotations

import numpy as np

from nesa.models.graph import Integers, Shard, Table
from nesa.models.reference import evaluate

STARTS = 40


def told_alone_by_trying(
    table: Table, draws: np.random.Generator, starts: int = STARTS
) -> set[int]:
    """Values with an element that changes with one element of the input and with no other."""
    edge, changes = table.inputs[0], dict[int, Integers]()
    whole = Shard(0, len(table.rows), (0,), table.outputs)
    for _ in range(starts):
        start = draws.integers(edge.low, edge.high + 1, edge.elements)
        before = evaluate(table, whole, [start.reshape(edge.shape)])
        for place in range(edge.elements):
            other = start.copy()
            other[place] = draws.integers(edge.low, edge.high + 1)
            after = evaluate(table, whole, [other.reshape(edge.shape)])
            for value, tensor in after.items():
                told = changes.setdefault(value, np.zeros((tensor.size, edge.elements), np.int64))
                told[:, place] |= (tensor != before[value]).reshape(-1)
    return {value for value, told in changes.items() if (told.sum(1) == 1).any()}
