"""What a client of SPLIT hands over in real runs of its first layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import Table
from nesa.privacy.battery.views import Floats
from nesa.privacy.split.owners import owners
from nesa.privacy.split.parts import Parts, split
from nesa.privacy.split.running import SplitRunner
from nesa.protocol.errors import InvalidModel


def parts_behind(table: Table, row: int) -> Parts | None:
    """The table with a middle that begins in front of `row` and goes on as far as it may; None
    where none may begin there."""
    last = len(table.rows) - 1
    if not 0 < row < last:
        return None
    owned = owners(table, row, last)
    if not owned.sent or owned.exposed:
        return None
    for end in range(last, row, -1):
        try:
            return split(table, row, end)
        except InvalidModel:
            continue
    return None


def handed_over(parts: Parts, inputs: Sequence[bytes]) -> dict[int, Floats]:
    """The values [n, elements] of the whole table, by number, that leave the client for inputs,
    canonical bytes: they are taken apart as the middle takes them."""
    runner, (edge,) = SplitRunner(parts), parts.middle.inputs
    sent = [edge.decode(runner.begin([one]).sent).reshape(-1) for one in inputs]
    sizes = [each.elements for each in parts.whole.types_of(parts.sent)]
    apart = np.split(np.stack(sent).astype(np.float32), np.cumsum(sizes)[:-1], axis=1)
    return dict(zip(parts.sent, apart, strict=True))
