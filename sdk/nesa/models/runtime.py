"""Runs one shard in ONNX Runtime, canonical bytes in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from nesa.models.stacking import with_open_axis
from nesa.protocol.digests import boundary_digest, bytes_root
from nesa.protocol.errors import IntegrityError, InvalidModel, InvalidTensor
from nesa.protocol.ids import Digest
from nesa.protocol.versions import ShardFacts

PROVIDERS: Final = ("CPUExecutionProvider",)
"""Providers with TF32, Winograd or fast math round the sums of a table and are never used."""

OPTIMISATION: Final = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
"""Every level gives the same integers; this one leaves the graph closest to the table."""


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """Inputs of one shard as canonical bytes, and the boundary digest of what must come out."""

    inputs: tuple[bytes, ...]
    output_digest: Digest


def run_all(runners: Sequence[ShardRunner], tensors: Sequence[bytes]) -> tuple[bytes, ...]:
    """Output tensors of the last of several shards, each fed with those of the one before."""
    passed = tuple(tensors)
    for runner in runners:
        passed = runner.run(passed)
    return passed


class ShardRunner:
    """One shard, loaded and ready; `run` and `run_stacked` may be called from several threads.

    `stacks` says that `nesa.models.stacking` has no objection to several queries in one run,
    `is_own` that the file was compiled here, so that it need not be the one that `facts` names.

    Raises:
        IntegrityError: `onnx` is somebody else's, and not the file that `facts` names.
        InvalidModel: ONNX Runtime cannot load it, or its inputs and outputs are not the edges.
    """

    def __init__(
        self, onnx: bytes, facts: ShardFacts, *, stacks: bool = False, is_own: bool = False
    ) -> None:
        if not is_own and bytes_root(onnx) != facts.file_digest:
            raise IntegrityError("the shard's ONNX file does not match its digest")
        self._facts = facts
        self._stacks = stacks
        self._session = session(with_open_axis(onnx) if stacks else onnx)
        self._inputs = [edge.name for edge in self._session.get_inputs()]
        self._outputs = [edge.name for edge in self._session.get_outputs()]
        self._expect_edges()

    @property
    def facts(self) -> ShardFacts:
        """What the chain knows of the shard."""
        return self._facts

    def run(self, tensors: Sequence[bytes]) -> tuple[bytes, ...]:
        """Output tensors for input tensors, both as canonical bytes in the order of the edges.

        Raises:
            InvalidTensor: a tensor is missing, or not of its edge type.
        """
        (outputs,) = self.run_stacked([tensors])
        return outputs

    def run_stacked(self, queries: Sequence[Sequence[bytes]]) -> list[tuple[bytes, ...]]:
        """Output tensors of several queries, as `run` gives them, in one run of the session.

        Raises:
            InvalidTensor: a tensor is missing, or not of its edge type; nothing was run.
        """
        decoded = [self._decoded(tensors) for tensors in queries]
        feeds = {
            name: np.concatenate(tensors)
            for name, tensors in zip(self._inputs, zip(*decoded, strict=True), strict=True)
        }
        if len(queries) != 1 and not self._stacks:
            raise InvalidTensor("the shard takes one query at a time")
        results = self._session.run(self._outputs, feeds)
        parts = [np.split(values, len(queries)) for values in results]
        return [self._encoded(outputs) for outputs in zip(*parts, strict=True)]

    def self_test(self, answers: Sequence[KnownAnswer]) -> None:
        """Runs known inputs, also all of them at once, and compares the digests of the outputs.

        Raises:
            IntegrityError: this machine computes something else.
        """
        inputs = [answer.inputs for answer in answers]
        found = [self.run(tensors) for tensors in inputs]
        if self._stacks and answers:
            found += self.run_stacked(inputs)
        for number, outputs in enumerate(found):
            answer = answers[number % len(answers)]
            if boundary_digest(self._facts.output_edges, outputs) != answer.output_digest:
                place = number % len(answers)
                raise IntegrityError(f"known answer {place} comes out differently on this machine")

    def _decoded(self, tensors: Sequence[bytes]) -> list[NDArray[np.float32]]:
        edges = self._facts.input_edges
        if len(tensors) != len(edges):
            raise InvalidTensor(f"{len(tensors)} tensors where {len(edges)} are needed")
        pairs = zip(edges, tensors, strict=True)
        return [edge.decode(data).astype(np.float32) for edge, data in pairs]

    def _encoded(self, outputs: Sequence[NDArray[np.generic]]) -> tuple[bytes, ...]:
        pairs = zip(self._facts.output_edges, outputs, strict=True)
        return tuple(edge.encode(values) for edge, values in pairs)

    def _expect_edges(self) -> None:
        """Shapes are those of the edges; the first axis may be open."""
        fixed = 1 if self._stacks else 0
        nodes = (*self._session.get_inputs(), *self._session.get_outputs())
        edges = self._facts.input_edges + self._facts.output_edges
        if [tuple(node.shape[fixed:]) for node in nodes] != [edge.shape[fixed:] for edge in edges]:
            raise InvalidModel("the ONNX file has other inputs or outputs than its shard")


def session(
    onnx: bytes | Path,
    optimisation: ort.GraphOptimizationLevel = OPTIMISATION,
    threads: int = 1,
) -> ort.InferenceSession:
    """Session with `threads` threads, in order, on the CPU, for an ONNX file or its contents.

    Raises:
        InvalidModel: ONNX Runtime cannot load the file.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = optimisation
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(onnx, options, providers=list(PROVIDERS))
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise InvalidModel(f"ONNX Runtime cannot load the shard: {error}") from error
