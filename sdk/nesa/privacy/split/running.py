"""Runs the client's two parts in ONNX Runtime, around what the network answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nesa.models.measuring import part_runner
from nesa.privacy.split.parts import Parts


@dataclass(frozen=True, slots=True)
class Begun:
    """A query whose first layers are computed: `sent` goes to the network, `kept` stays here.

    `kept` are values of the whole table by their numbers, as canonical bytes.
    """

    sent: bytes
    kept: Mapping[int, bytes]


class SplitRunner:
    """Both parts of the client, loaded and ready.

    Raises:
        InvalidModel: ONNX Runtime cannot load one of them.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._head = part_runner(parts.whole, parts.head)
        self._tail = part_runner(parts.whole, parts.tail)

    def begin(self, tensors: Sequence[bytes]) -> Begun:
        """Compute the first layers of an input, given as canonical bytes.

        Raises:
            InvalidTensor: not a tensor of the model's input.
        """
        parts, table = self._parts, self._parts.whole
        found = dict(zip(parts.head.outputs, self._head.run(tensors), strict=True))
        edges = table.types_of(parts.sent)
        values = [edge.decode(found[value]) for edge, value in zip(edges, parts.sent, strict=True)]
        (joined,) = parts.middle.inputs
        flat = np.concatenate([value.astype(np.int64).reshape(-1) for value in values])
        kept = {value: found[value] for value in parts.tail.inputs if value in found}
        return Begun(joined.encode(flat.reshape(joined.shape)), kept)

    def finish(self, begun: Begun, answer: bytes) -> tuple[bytes, ...]:
        """Outputs of the whole model once the middle's output is known, canonical bytes.

        Raises:
            InvalidTensor: not a tensor of the middle's output, or a number in it is out of range.
        """
        known = {**begun.kept, **self._apart(answer)}
        return self._tail.run([known[value] for value in self._parts.tail.inputs])

    def _apart(self, answer: bytes) -> dict[int, bytes]:
        """The values that the middle left behind, canonical bytes by their numbers."""
        middle, returned = self._parts.middle, self._parts.returned
        edges = self._parts.whole.types_of(returned)
        numbers = middle.type_of(middle.outputs[0]).decode(answer).reshape(-1)
        ends = np.cumsum([edge.elements for edge in edges])[:-1]
        values = zip(returned, edges, np.split(numbers, ends), strict=True)
        return {value: edge.encode(each.reshape(edge.shape)) for value, edge, each in values}
