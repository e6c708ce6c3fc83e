"""What a model's folder holds of a provable shard, beside the shard's ONNX files.

shards/<i>.settings.json   ezkl's settings
shards/<i>.vk              verifying key; its hash is the circuit digest
shards/<i>.verifier.sol    hardened verifier (generated)
shards/<i>.verifier.hex    its creation bytecode
shards/<i>.corner.json     one proof at an extreme of the input's range, for registration
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesa.models.folder import CompiledModel, circuit_path
from nesa.models.proving.circuits import Circuit, require_digest
from nesa.models.proving.process import DEFAULT_LIMITS, Limits
from nesa.models.proving.proofs import Proof, instances_of, verify
from nesa.models.proving.reference_string import ReferenceFile, locate
from nesa.models.proving.verifier import Verifier, code_hash, runtime_of
from nesa.protocol.circuits import ShownEdge
from nesa.protocol.errors import IntegrityError, InvalidModel
from nesa.protocol.ids import Digest

_SETTINGS: Final = "settings.json"
_VERIFYING_KEY: Final = "vk"
_SOURCE: Final = "verifier.sol"
_CREATION: Final = "verifier.hex"
_CORNER: Final = "corner.json"


@dataclass(frozen=True, slots=True)
class Corner:
    """A proof at an extreme: the input and the output as the chain gets them, and the proof."""

    input: bytes
    output: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class ProvableShard:
    """A shard's circuit, the creation bytecode of its verifier, and its corner proof."""

    circuit: Circuit
    creation: bytes
    corner: Corner

    @property
    def proof_bytes(self) -> int:
        """Length of every proof of this circuit."""
        return len(self.corner.proof)

    @property
    def verifier_code_hash(self) -> Digest:
        """keccak-256 of the deployed verifier."""
        return code_hash(runtime_of(self.creation))

    @property
    def corner_proof(self) -> Proof:
        """The corner proof with its public values."""
        corner, circuit = self.corner, self.circuit
        values = instances_of(circuit.source, corner.input, circuit.result, corner.output)
        return Proof(corner.proof, tuple(values))

    async def verify(self, proof: Proof, limits: Limits = DEFAULT_LIMITS) -> bool:
        """Whether `proof` holds, checked off chain; see `proofs.verify`."""
        return await verify(self.circuit, proof, self.proof_bytes, limits)


def read_provable_shard(
    folder: Path, model: CompiledModel, shard: int, ceremony: Path | None = None
) -> ProvableShard:
    """The provable shard number `shard` of `model`, whose folder is `folder`.

    `ceremony` is the file of the reference string unless that is the development one.

    Raises:
        InvalidModel: the shard has no circuit, or a file is missing or malformed.
        IntegrityError: a file does not match the model's facts.
        InvalidConfiguration: the reference string's file is not there.
    """
    facts, source = model.shards[shard], model.circuit_file(shard)
    if source is None or not any(facts.circuit_digest):
        raise InvalidModel(f"shard {shard} of {model.name} has no circuit")
    reference = locate(reference_digest(model), ceremony)
    given, computed = shown_edges(model, shard)
    settings, key = (_read(folder, shard, kind) for kind in (_SETTINGS, _VERIFYING_KEY))
    circuit = Circuit(source, settings, key, given, computed, reference)
    require_digest(circuit, facts.circuit_digest)
    creation = _unhex(_read(folder, shard, _CREATION).decode(errors="replace").strip())
    found = ProvableShard(circuit, creation, _read_corner(_read(folder, shard, _CORNER)))
    if found.verifier_code_hash != facts.verifier_code_hash:
        raise IntegrityError(f"the verifier of shard {shard} does not match its code hash")
    return found


def write_provable_shard(
    folder: Path, shard: int, circuit: Circuit, verifier: Verifier, corner: Corner
) -> None:
    """Writes every file of the shard but its ONNX files."""
    contents = {
        _SETTINGS: circuit.settings,
        _VERIFYING_KEY: circuit.verifying_key,
        _SOURCE: verifier.source.encode(),
        _CREATION: verifier.creation.hex().encode() + b"\n",
        _CORNER: _corner_file(corner),
    }
    for kind, data in contents.items():
        _path(folder, shard, kind).write_bytes(data)


def shown_edges(model: CompiledModel, shard: int) -> tuple[ShownEdge, ShownEdge]:
    """A provable shard's input and output as its circuit shows them."""
    facts, ends = model.shards[shard], model.card.circuits.ends(shard, len(model.shards))
    (given,), (computed,) = facts.input_edges, facts.output_edges
    return ShownEdge(given, ends.hashed_input), ShownEdge(computed, ends.hashed_output)


def reference_digest(model: CompiledModel) -> Digest:
    """Digest of the reference string that the model's card names.

    Raises:
        InvalidModel: the card names none.
    """
    return Digest(_unhex(model.card.reference_string))


def shown_reference(reference: ReferenceFile) -> str:
    """The form of a reference string's digest in a model card."""
    return "0x" + reference.identity.digest.hex()


def _path(folder: Path, shard: int, kind: str) -> Path:
    return folder / circuit_path(shard).replace("circuit.onnx", kind)


def _read(folder: Path, shard: int, kind: str) -> bytes:
    try:
        return _path(folder, shard, kind).read_bytes()
    except OSError as error:
        raise InvalidModel(f"{error.filename} cannot be read") from None


def _corner_file(corner: Corner) -> bytes:
    fields = {"input": corner.input, "output": corner.output, "proof": corner.proof}
    shown = {name: "0x" + data.hex() for name, data in fields.items()}
    return json.dumps(shown, indent=1).encode() + b"\n"


def _read_corner(data: bytes) -> Corner:
    try:
        content: dict[str, Any] = json.loads(data)
        return Corner(*(_unhex(content[name]) for name in ("input", "output", "proof")))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidModel(f"a corner proof is malformed: {error}") from None


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise InvalidModel(f"{text[:20]!r} is not hexadecimal") from None
