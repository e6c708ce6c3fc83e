"""What an operator states when it takes a seat of a provable shard, rebuilt on its own machine."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from nesa.models.proving.circuits import Circuit, working_folder
from nesa.models.proving.process import DEFAULT_LIMITS
from nesa.models.proving.prover import Prover
from nesa.models.proving.verifier import (
    _generated,
    build_verifier,
    code_hash,
    harden,
)
from nesa.models.runtime import KnownAnswer
from nesa.protocol.errors import IntegrityError, InvalidConfiguration
from nesa.protocol.ids import ZERO_DIGEST, Digest, VersionId
from nesa_miner.shards import ShardLibrary
from nesa_miner.surroundings import Runner

COMPILED_HERE: Final = "verifier generated and compiled on this machine"
SOURCE_COMPARED: Final = (
    "verifier source generated on this machine and equal to the published one; its bytecode is "
    "the published one, because there is no solc 0.8.20 here to compile it"
)
NO_CIRCUIT: Final = "the shard has no circuit"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Both digests as this machine found them, and in words how it did."""

    circuit_digest: Digest
    verifier_code_hash: Digest
    how: str


async def rebuild(
    library: ShardLibrary, version_id: VersionId, shard: int, solc: Path | None = None
) -> Rebuilt:
    """Circuit digest and verifier code hash of a shard, rebuilt from its circuit file.

    Set-up makes the verifying key and, for later, the proving key; the circuit's answers are
    compared with those of the shard. The result is kept beside the proving keys, so that only
    the first call for a circuit takes minutes.

    Raises:
        IntegrityError: something comes out differently from what the chain states.
        InvalidModel, Incompatible, InvalidConfiguration, Unavailable, ExhaustedResource: see
            `ShardLibrary.prover`.
    """
    facts, runner = await library.runner(version_id, shard)
    if not any(facts.circuit_digest):
        return Rebuilt(ZERO_DIGEST, ZERO_DIGEST, NO_CIRCUIT)
    prover = await library.prover(version_id, shard)
    notes = _Notes(library.proving_cache, facts.circuit_digest, facts.file_digest)
    rebuilt = notes.read()
    if rebuilt is None:
        await _compare_answers(prover, runner, await library.known_answers(version_id, shard))
        rebuilt = await _rebuilt(library, version_id, shard, prover.circuit, solc)
        notes.write(rebuilt)
    if rebuilt.verifier_code_hash != facts.verifier_code_hash:
        raise IntegrityError(
            f"the verifier of shard {shard} comes out as 0x{rebuilt.verifier_code_hash.hex()}, "
            f"the chain knows 0x{facts.verifier_code_hash.hex()}; do not take this seat"
        )
    return rebuilt


async def _compare_answers(prover: Prover, runner: Runner, answers: Sequence[KnownAnswer]) -> None:
    """The circuit computes what the shard computes, from every known input."""
    source, result = prover.circuit.source.edge, prover.circuit.result.edge
    for number, answer in enumerate(answers):
        (tensor,), (wanted,) = answer.inputs, runner.run(answer.inputs)
        found = await prover.witness(source.decode(tensor).reshape(-1).tolist())
        if found != result.decode(wanted).reshape(-1).tolist():
            raise IntegrityError(
                f"the circuit and the shard differ on known answer {number}; do not take this seat"
            )


async def _rebuilt(
    library: ShardLibrary, version_id: VersionId, shard: int, circuit: Circuit, solc: Path | None
) -> Rebuilt:
    code = await _compiled_here(circuit, solc)
    if code is not None:
        return Rebuilt(circuit.digest, code, COMPILED_HERE)
    version = await library.of_shard(version_id, shard)
    source, runtime = version.verifier(shard)
    if await _generated_source(circuit) != source:
        raise IntegrityError(
            f"the published verifier of shard {shard} is not the one that its verifying key gives; "
            "do not take this seat"
        )
    return Rebuilt(circuit.digest, code_hash(runtime), SOURCE_COMPARED)


async def _compiled_here(circuit: Circuit, solc: Path | None) -> Digest | None:
    """Code hash of the verifier; None without a compiler of the right version."""
    if solc is None:
        return None
    try:
        return (await build_verifier(circuit, solc)).code_hash
    except InvalidConfiguration:
        return None


async def _generated_source(circuit: Circuit) -> str:
    with working_folder() as folder:
        source, _ = harden(await _generated(circuit, folder, DEFAULT_LIMITS), circuit)
    return source


@dataclass(frozen=True, slots=True)
class _Notes:
    """What was rebuilt before, beside the proving keys; a note that cannot be read is made anew."""

    cache: Path
    circuit_digest: Digest
    file_digest: Digest

    @property
    def path(self) -> Path:
        """Named by circuit and shard file, so that it speaks of exactly these two."""
        return self.cache / f"{self.circuit_digest.hex()}.{self.file_digest.hex()[:16]}.json"

    def read(self) -> Rebuilt | None:
        """The note, if there is one."""
        try:
            note = json.loads(self.path.read_text())
            code = Digest(bytes.fromhex(note["verifier_code_hash"]))
            return Rebuilt(self.circuit_digest, code, str(note["how"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, rebuilt: Rebuilt) -> None:
        """Keep `rebuilt`; replaces an older note at once."""
        shown = {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in asdict(rebuilt).items()
        }
        draft = self.path.with_suffix(f".{os.getpid()}.part")
        draft.write_text(json.dumps(shown, indent=1) + "\n")
        draft.replace(self.path)
