"""Proofs: their bytes, the public values they speak of, and checking them off chain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesa.models.proving import process
from nesa.models.proving.circuits import (
    SETTINGS_FILE,
    VERIFYING_KEY_FILE,
    Circuit,
    working_folder,
    write_sources,
)
from nesa.models.proving.field import MODULUS, element_of_hex, hex_of_element, to_field
from nesa.models.proving.hashing import element_of
from nesa.models.proving.process import DEFAULT_LIMITS, Limits, ProvingFailed, run_step
from nesa.protocol.circuits import ShownEdge

PROOF_FILE: Final = "proof.json"


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof: the bytes for the verifier, and the public values as elements of the field."""

    proof: bytes
    instances: tuple[int, ...]


def instances_of(
    source: ShownEdge, shown_input: bytes, result: ShownEdge, shown_output: bytes
) -> list[int]:
    """Public values of a proof that one tensor gives another: inputs, then outputs.

    Each is given as the chain gets it: canonical bytes of its edge, or the digest of a hashed one.
    A negative value `v` is `MODULUS + v`.

    Raises:
        InvalidTensor: wrong length, or a value outside the range of its edge.
        InvalidMessage: not a digest.
    """
    return [*_instances(source, shown_input), *_instances(result, shown_output)]


def _instances(shown: ShownEdge, data: bytes) -> list[int]:
    if shown.is_hashed:
        return [element_of(data)]
    return [to_field(int(value)) for value in shown.edge.decode(data).reshape(-1).tolist()]


async def verify(
    circuit: Circuit, proof: Proof, proof_bytes: int, limits: Limits = DEFAULT_LIMITS
) -> bool:
    """Whether `proof` holds, in its only form: `proof_bytes` long, elements below the modulus.

    Raises:
        ExhaustedResource: time, memory or disk is used up.
    """
    if len(proof.proof) != proof_bytes or len(proof.instances) != circuit.instances:
        return False
    if not all(0 <= element < MODULUS for element in proof.instances):
        return False
    with working_folder() as folder:
        write_sources(circuit, folder)
        (folder / PROOF_FILE).write_text(json.dumps(_ezkl_form(proof)))
        try:
            return bool(await run_step(process.VERIFY, _arguments(circuit, folder), folder, limits))
        except ProvingFailed:
            return False


def read_proof(path: Path) -> Proof:
    """The proof in a file that ezkl wrote."""
    content = json.loads(path.read_bytes())
    (elements,) = content["instances"]
    return Proof(bytes(content["proof"]), tuple(map(element_of_hex, elements)))


def _arguments(circuit: Circuit, folder: Path) -> dict[str, str]:
    return {
        "proof": str(folder / PROOF_FILE),
        "settings": str(folder / SETTINGS_FILE),
        "verifying_key": str(folder / VERIFYING_KEY_FILE),
        "reference": str(circuit.reference.path),
    }


def _ezkl_form(proof: Proof) -> dict[str, Any]:
    """The file that ezkl checks; it looks at `proof` and `instances` only."""
    return {
        "protocol": None,
        "instances": [[hex_of_element(element) for element in proof.instances]],
        "proof": list(proof.proof),
        "hex_proof": "0x" + proof.proof.hex(),
        "split": None,
        "pretty_public_inputs": None,
        "timestamp": None,
        "version": None,
    }
