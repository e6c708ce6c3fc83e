"""Runs one shard in ONNX Runtime, canonical bytes in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime as ort

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


class ShardRunner:
    """One shard, loaded and ready; `run` may be called from several threads.

    Raises:
        IntegrityError: `onnx` is not the file that `facts` names.
        InvalidModel: ONNX Runtime cannot load it, or its inputs and outputs are not the edges.
    """

    def __init__(self, onnx: bytes, facts: ShardFacts) -> None:
        if bytes_root(onnx) != facts.file_digest:
            raise IntegrityError("the shard's ONNX file does not match its digest")
        self._facts = facts
        self._session = session(onnx)
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
        edges = self._facts.input_edges
        if len(tensors) != len(edges):
            raise InvalidTensor(f"{len(tensors)} tensors where {len(edges)} are needed")
        decoded = [edge.decode(data) for edge, data in zip(edges, tensors, strict=True)]
        floats = [values.astype(np.float32) for values in decoded]
        feeds = dict(zip(self._inputs, floats, strict=True))
        results = self._session.run(self._outputs, feeds)
        pairs = zip(self._facts.output_edges, results, strict=True)
        return tuple(edge.encode(values) for edge, values in pairs)

    def self_test(self, answers: Sequence[KnownAnswer]) -> None:
        """Runs known inputs and compares the digests of the outputs.

        Raises:
            IntegrityError: this machine computes something else.
        """
        for number, answer in enumerate(answers):
            found = boundary_digest(self._facts.output_edges, self.run(answer.inputs))
            if found != answer.output_digest:
                raise IntegrityError(f"known answer {number} comes out differently on this machine")

    def _expect_edges(self) -> None:
        found = [tuple(edge.shape) for edge in self._session.get_inputs()]
        found += [tuple(edge.shape) for edge in self._session.get_outputs()]
        edges = self._facts.input_edges + self._facts.output_edges
        if found != [edge.shape for edge in edges]:
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
