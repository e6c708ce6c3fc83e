"""Builds all that a model's folder holds for proofs: circuits, verifiers and corner proofs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nesa.models.card import MODEL_NAME, ClassifierCard
from nesa.models.folder import CompiledModel, assemble, with_circuits
from nesa.models.lowering import circuit_needs
from nesa.models.proving.artefacts import (
    Corner,
    shown_edges,
    shown_reference,
    write_provable_shard,
)
from nesa.models.proving.bounds import outputs_at
from nesa.models.proving.circuits import Circuit, build_circuit
from nesa.models.proving.compiled import read_compiled
from nesa.models.proving.corners import corner_input
from nesa.models.proving.hashing import shown_bytes
from nesa.models.proving.prover import NO_BLIND, Prover
from nesa.models.proving.reference_string import ReferenceFile
from nesa.models.proving.verifier import Verifier, build_verifier
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.errors import InvalidInput, InvalidModel
from nesa.protocol.ids import ZERO_DIGEST, Digest


@dataclass(frozen=True, slots=True)
class BuiltShard:
    """Everything that was made for one shard."""

    circuit: Circuit
    verifier: Verifier
    corner: Corner

    @property
    def facts(self) -> tuple[Digest, Digest]:
        """Circuit digest and verifier code hash, as the chain knows them."""
        return self.circuit.digest, self.verifier.code_hash


async def build_shard(
    model: CompiledModel, shard: int, reference: ReferenceFile, cache: Path, solc: Path
) -> BuiltShard | None:
    """Circuit, verifier and corner proof of a shard; None where it cannot be proved.

    Raises:
        InvalidModel: see `build_circuit` and `build_verifier`.
        InvalidConfiguration: solc or the cache cannot be used.
        ExhaustedResource: time, memory or disk is used up.
    """
    source = model.circuit_file(shard)
    if source is None:
        return None
    circuit = await build_circuit(source, *shown_edges(model, shard), reference)
    verifier = await build_verifier(circuit, solc)
    return BuiltShard(circuit, verifier, await prove_corner(circuit, cache))


async def prove_corner(circuit: Circuit, cache: Path) -> Corner:
    """A proof at an extreme of the input's range; see `corner_input`.

    Raises:
        InvalidTensor: the witness is not what the compiled circuit says it must be.
        ProvingFailed, ExhaustedResource: see `Prover.prove`.
    """
    prover = await Prover.open(circuit, cache)
    source, result = circuit.source, circuit.result
    given, computed = corner_tensors(prover)
    proof = await prover.prove(given, computed)
    shown = (shown_bytes(source, given, NO_BLIND), shown_bytes(result, computed, NO_BLIND))
    return Corner(*shown, proof.proof)


def of_kind(model: CompiledModel, kind: CircuitKind, name: str) -> CompiledModel:
    """The same table under another name, for circuits of `kind`; it has none yet.

    Raises:
        InvalidInput: this is no name of a model.
        InvalidModel: no shard can be proved, or not every one.
    """
    changes: dict[str, object] = {"name": name, "circuits": kind, "reference_string": ""}
    if isinstance(model.card, ClassifierCard):
        accuracy = model.card.accuracy.model_copy(update={"proved_rows": 0, "proved": None})
        changes["accuracy"] = accuracy
    if MODEL_NAME.fullmatch(name) is None:
        raise InvalidInput(f"{name!r} is no name of a model: small letters, digits and dashes")
    card = model.card.model_copy(update=changes)
    for number, shard in enumerate(model.table.shards):
        if obstacles := circuit_needs(model.table, shard).obstacles:
            raise InvalidModel(f"shard {number} of {model.name} cannot be proved: {obstacles[0]}")
    return assemble(model.table, card, model.test_rows())


def corner_tensors(prover: Prover) -> tuple[bytes, bytes]:
    """Canonical bytes of the input at an extreme, and of what the circuit makes of it."""
    source, result = prover.circuit.source, prover.circuit.result
    graph = read_compiled(prover.keys.compiled.read_bytes())
    values = corner_input(graph, source)
    outputs = np.array(outputs_at(graph, values), np.int64)[: result.edge.elements]
    inputs = np.array(values, np.int64)[: source.edge.elements]
    given = source.edge.encode(inputs.reshape(source.edge.shape))
    return given, result.edge.encode(outputs.reshape(result.edge.shape))


async def add_circuits(
    model: CompiledModel, folder: Path, reference: ReferenceFile, cache: Path, solc: Path
) -> CompiledModel:
    """The model with the circuits of all its provable shards, whose files are written.

    The version root changes; the caller saves the model.

    Raises:
        InvalidModel, InvalidConfiguration, ExhaustedResource: see `build_shard`.
    """
    facts = []
    for shard in range(len(model.shards)):
        built = await build_shard(model, shard, reference, cache, solc)
        facts.append(built.facts if built else (ZERO_DIGEST, ZERO_DIGEST))
        if built:
            write_provable_shard(folder, shard, built.circuit, built.verifier, built.corner)
    card = model.card.model_copy(update={"reference_string": shown_reference(reference)})
    return with_circuits(model, facts, card)
