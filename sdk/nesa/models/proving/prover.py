"""Proves that a shard's circuit turns one tensor into another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from nesa.models.proving import process
from nesa.models.proving.circuits import Circuit, working_folder
from nesa.models.proving.field import element_of_hex, from_field
from nesa.models.proving.hashing import hashed_values, poseidon
from nesa.models.proving.keys import ProvingKeys, provide_keys
from nesa.models.proving.process import DEFAULT_LIMITS, Limits, ProvingFailed, run_step
from nesa.models.proving.proofs import PROOF_FILE, Proof, instances_of, read_proof, verify
from nesa.protocol.circuits import BLIND_BYTES, ShownEdge
from nesa.protocol.errors import InvalidTensor

_INPUTS_FILE: Final = "inputs.json"
_WITNESS_FILE: Final = "witness.json"

NO_BLIND: Final = bytes(BLIND_BYTES)
"""For circuits that hash nothing, and where there is nothing to hide."""


def _values(shown: ShownEdge, data: bytes, blind: bytes) -> tuple[list[int], bytes]:
    """What the circuit takes or gives for a tensor (canonical bytes), and what its proof shows."""
    if not shown.is_hashed:
        return [int(value) for value in shown.edge.decode(data).reshape(-1).tolist()], data
    values = hashed_values(shown.edge, data, blind)
    return values, poseidon(values)


@dataclass(frozen=True, slots=True)
class Prover:
    """Proves one circuit. `cache` keeps working files beside the keys; `slots` bounds how many
    proofs run at once over all provers that share it.
    """

    circuit: Circuit
    keys: ProvingKeys
    cache: Path
    limits: Limits = DEFAULT_LIMITS
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @classmethod
    async def open(
        cls,
        circuit: Circuit,
        cache: Path,
        limits: Limits = DEFAULT_LIMITS,
        slots: asyncio.Semaphore | None = None,
    ) -> Self:
        """A prover whose keys lie in the folder `cache`; the first one of a circuit makes them.

        Raises:
            IntegrityError, InvalidModel, InvalidConfiguration, ExhaustedResource: see
                `provide_keys`.
        """
        slots = slots or asyncio.Semaphore(1)
        async with slots:
            keys = await provide_keys(circuit, cache, limits)
        return cls(circuit, keys, cache, limits, slots)

    async def witness(self, values: Sequence[int]) -> list[int]:
        """What the circuit computes from `values`, both in C order and without a blind.

        Raises:
            InvalidTensor: wrong count, or a value outside the declared range.
            ExhaustedResource: time, memory or disk is used up.
        """
        self._require_input(values)
        source, result = self.circuit.source, self.circuit.result
        blind = [0] * (source.elements - source.edge.elements)
        with working_folder(self.cache) as folder:
            computed = await self._witness_into(folder, [*values, *blind])
        return computed[: result.edge.elements]

    async def prove(
        self, input_bytes: bytes, output_bytes: bytes, blind: bytes = NO_BLIND
    ) -> Proof:
        """A proof that `input_bytes` give `output_bytes`, verified before it is returned.

        `blind` (32 bytes) hides what the circuit hashes.

        Raises:
            InvalidTensor: a tensor that is not of its declared type, or an output that the
                circuit does not compute from the input.
            ProvingFailed: ezkl failed, or its proof does not hold.
            ExhaustedResource: time, memory or disk is used up.
        """
        circuit = self.circuit
        given, shown_input = _values(circuit.source, input_bytes, blind)
        wanted, shown_output = _values(circuit.result, output_bytes, blind)
        expected = instances_of(circuit.source, shown_input, circuit.result, shown_output)
        with working_folder(self.cache) as folder:
            async with self.slots:
                if await self._witness_into(folder, given) != wanted:
                    raise InvalidTensor("the circuit computes another output from this input")
                proof = await self._prove_in(folder)
        if list(proof.instances) != expected:
            raise ProvingFailed("the proof speaks of other values than those that were given")
        if not await verify(circuit, proof, len(proof.proof), self.limits):
            raise ProvingFailed("the proof does not hold")
        return proof

    def _require_input(self, values: Sequence[int]) -> None:
        edge = self.circuit.source.edge
        if len(values) != edge.elements:
            raise InvalidTensor(f"{len(values)} values where {edge.elements} are needed")
        if min(values) < edge.low or max(values) > edge.high:
            raise InvalidTensor(
                f"values [{min(values)}, {max(values)}] leave the range [{edge.low}, {edge.high}]"
            )

    async def _witness_into(self, folder: Path, values: Sequence[int]) -> list[int]:
        inputs, witness = folder / _INPUTS_FILE, folder / _WITNESS_FILE
        inputs.write_text(json.dumps({"input_data": [[int(value) for value in values]]}))
        arguments = {
            "inputs": str(inputs),
            "circuit": str(self.keys.compiled),
            "witness": str(witness),
        }
        await run_step(process.WITNESS, arguments, folder, self.limits)
        (outputs,) = json.loads(witness.read_bytes())["outputs"]
        return [from_field(element_of_hex(text)) for text in outputs]

    async def _prove_in(self, folder: Path) -> Proof:
        arguments = {
            "witness": str(folder / _WITNESS_FILE),
            "circuit": str(self.keys.compiled),
            "proving_key": str(self.keys.proving_key),
            "proof": str(folder / PROOF_FILE),
            "reference": str(self.circuit.reference.path),
        }
        await run_step(process.PROVE, arguments, folder, self.limits)
        return read_proof(folder / PROOF_FILE)
