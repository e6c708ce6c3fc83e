"""The client's own part of a shared query: everything between the rounds, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from nesa.models.graph import Integers, Part, Table
from nesa.models.lowering import part_model
from nesa.models.runtime import session
from nesa.privacy.shared.plan import Plan
from nesa.protocol.errors import InvalidTensor


class ClientParts:
    """The parts of a plan, loaded and ready; they may serve several queries at once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._sessions = tuple(_session(plan.table, part) for part in plan.parts)

    def begin(self, inputs: Sequence[bytes]) -> Evaluation:
        """A query with these inputs, canonical bytes.

        Raises:
            InvalidTensor: too many or too few inputs, or one that is not of its edge type.
        """
        edges = self.plan.table.inputs
        if len(inputs) != len(edges):
            raise InvalidTensor(f"{len(inputs)} inputs where the model takes {len(edges)}")
        pairs = zip(edges, inputs, strict=True)
        held = {place: edge.decode(data) for place, (edge, data) in enumerate(pairs)}
        return Evaluation(self.plan, self._sessions, held)


class Evaluation:
    """One query's values as far as the client knows them, by their numbers."""

    def __init__(
        self,
        plan: Plan,
        sessions: Sequence[InferenceSession | None],
        held: Mapping[int, NDArray[np.generic]],
    ) -> None:
        self._plan, self._sessions = plan, sessions
        self._held = {value: array.astype(np.float32) for value, array in held.items()}

    def run(self, number: int) -> None:
        """Part `number` of the plan; those before it and their rounds are done."""
        part, runner = self._plan.parts[number], self._sessions[number]
        if runner is None:
            return
        feeds = {f"x{place}": self._held[value] for place, value in enumerate(part.inputs)}
        found = runner.run(None, feeds)
        self._held.update(zip(part.outputs, found, strict=True))

    def put(self, values: Mapping[int, Integers]) -> None:
        """Accumulators that the groups' sums gave."""
        self._held.update({value: array.astype(np.float32) for value, array in values.items()})

    def value(self, number: int) -> Integers:
        """A value that is known."""
        return self._held[number].astype(np.int64)

    @property
    def outputs(self) -> tuple[bytes, ...]:
        """Outputs of the table as canonical bytes, once the last part has run."""
        table = self._plan.table
        pairs = zip(table.types_of(table.outputs), table.outputs, strict=True)
        return tuple(edge.encode(self._held[value]) for edge, value in pairs)


def _session(table: Table, part: Part) -> InferenceSession | None:
    return session(part_model(table, part)) if part.outputs else None
