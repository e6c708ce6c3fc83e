"""From a shard's ONNX file to a circuit that the network can agree on, and to its keys."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

from nesa.models.proving import process
from nesa.models.proving.compiled import CompiledGraph, read_compiled
from nesa.models.proving.process import DEFAULT_LIMITS, Limits, run_step
from nesa.models.proving.reference_string import ReferenceFile
from nesa.models.proving.rules import MAX_COLUMNS, check_circuit, run_args, worst_case
from nesa.protocol.circuits import Ends, ShownEdge, circuit_digest
from nesa.protocol.errors import IntegrityError, InvalidModel
from nesa.protocol.ids import Digest

_FIRST_DIGITS: Final = 4
_SPARE_ROWS: Final = 256
"""Rows that the proof system keeps for itself, and what ezkl's count varies by."""

WORKING_PREFIX: Final = "nesa-proving-"

MODEL_FILE: Final = "model.onnx"
SETTINGS_FILE: Final = "settings.json"
COMPILED_FILE: Final = "circuit.compiled"
VERIFYING_KEY_FILE: Final = "verifying.key"
PROVING_KEY_FILE: Final = "proving.key"


@dataclass(frozen=True, slots=True)
class Circuit:
    """What everybody needs to prove or check one shard.

    `model` is the ONNX file lowered for ezkl, `settings` ezkl's settings as canonical JSON,
    `source` and `result` the one input and the one output as proofs show them.
    """

    model: bytes
    settings: bytes
    verifying_key: bytes
    source: ShownEdge
    result: ShownEdge
    reference: ReferenceFile

    @property
    def ends(self) -> Ends:
        """Which of the two tensors it hashes."""
        return Ends(self.source.is_hashed, self.result.is_hashed)

    @property
    def digest(self) -> Digest:
        """The circuit digest."""
        return circuit_digest(self.verifying_key, self.ends)

    @property
    def instances(self) -> int:
        """How many public values a proof has: the input's, then the output's."""
        return self.source.instances + self.result.instances


@contextmanager
def working_folder(parent: Path | None = None) -> Iterator[Path]:
    """A fresh folder for one call, gone afterwards unless this process is killed."""
    with tempfile.TemporaryDirectory(prefix=WORKING_PREFIX, dir=parent) as name:
        yield Path(name)


async def build_circuit(
    model: bytes,
    source: ShownEdge,
    result: ShownEdge,
    reference: ReferenceFile,
    limits: Limits = DEFAULT_LIMITS,
) -> Circuit:
    """The circuit of a shard with its verifying key. Equal arguments give equal verifying keys.

    Raises:
        InvalidModel: the shard breaks a rule of what is provable, or does not fit the rows.
        ExhaustedResource: time, memory or disk is used up.
    """
    require_integers(model)
    with working_folder() as folder:
        settings = await _settled(model, source, result, reference.identity.k, folder, limits)
        (folder / SETTINGS_FILE).write_bytes(settings)
        await compile_into(folder, source, result, reference, limits)
        await set_up_into(folder, reference, limits)
        verifying_key = (folder / VERIFYING_KEY_FILE).read_bytes()
    return Circuit(model, settings, verifying_key, source, result, reference)


async def compile_into(
    folder: Path, source: ShownEdge, result: ShownEdge, reference: ReferenceFile, limits: Limits
) -> CompiledGraph:
    """Compiles the model and settings that lie in `folder`, and checks every rule on the result.

    Raises:
        InvalidModel: see `build_circuit`.
    """
    graph = await _compiled(folder, limits)
    check_circuit(graph, source, result, reference.identity.k)
    return graph


async def set_up_into(folder: Path, reference: ReferenceFile, limits: Limits) -> None:
    """Makes both keys of the compiled circuit in `folder`.

    Raises:
        InvalidModel: the circuit does not fit the reference string's rows.
    """
    arguments = {
        "circuit": str(folder / COMPILED_FILE),
        "verifying_key": str(folder / VERIFYING_KEY_FILE),
        "proving_key": str(folder / PROVING_KEY_FILE),
        "reference": str(reference.path),
    }
    await run_step(process.SET_UP, arguments, folder, limits)


def write_sources(circuit: Circuit, folder: Path) -> None:
    """Writes the circuit's model, settings and verifying key under the names that steps use."""
    (folder / MODEL_FILE).write_bytes(circuit.model)
    (folder / SETTINGS_FILE).write_bytes(circuit.settings)
    (folder / VERIFYING_KEY_FILE).write_bytes(circuit.verifying_key)


def require_integers(model: bytes) -> None:
    """Returns when every constant of the ONNX file is an integer; ezkl rounds others in silence.

    Raises:
        InvalidModel: a fraction, NaN or infinity.
    """
    for tensor in onnx.load_from_string(model).graph.initializer:
        values = numpy_helper.to_array(tensor).astype(np.float64)
        if not np.isfinite(values).all() or (np.floor(values) != values).any():
            raise InvalidModel(f"not provable: the constant {tensor.name} is not integer")


async def _settled(
    model: bytes, source: ShownEdge, result: ShownEdge, k: int, folder: Path, limits: Limits
) -> bytes:
    """Settings with the digits that the worst case over `source` needs, and the fewest columns.

    One column that the rows fit makes a proof two thirds as long as two columns do, and a
    verifier that is cheaper by a quarter.
    """
    (folder / MODEL_FILE).write_bytes(model)
    ends = Ends(source.is_hashed, result.is_hashed)
    first = await _measured(folder, run_args(k, _FIRST_DIGITS, 1, ends), limits)
    (folder / SETTINGS_FILE).write_bytes(first)
    digits = worst_case(await _compiled(folder, limits), source).digits
    narrow = await _measured(folder, run_args(k, digits, 1, ends), limits)
    if json.loads(narrow)["num_rows"] + _SPARE_ROWS <= 1 << k:
        return narrow
    return await _measured(folder, run_args(k, digits, MAX_COLUMNS, ends), limits)


async def _measured(folder: Path, arguments: Mapping[str, Any], limits: Limits) -> bytes:
    raw = folder / "measured.json"
    call = {"model": str(folder / MODEL_FILE), "settings": str(raw), "run_args": arguments}
    await run_step(process.SETTINGS, call, folder, limits)
    return canonical_settings(json.loads(raw.read_bytes()))


async def _compiled(folder: Path, limits: Limits) -> CompiledGraph:
    arguments = {
        "model": str(folder / MODEL_FILE),
        "settings": str(folder / SETTINGS_FILE),
        "circuit": str(folder / COMPILED_FILE),
    }
    await run_step(process.COMPILE, arguments, folder, limits)
    return read_compiled((folder / COMPILED_FILE).read_bytes())


def canonical_settings(settings: dict[str, Any]) -> bytes:
    """ezkl's settings without its clock and without the order of its hash maps."""
    equations = settings["einsum_params"]["equations"]
    settings["einsum_params"]["equations"] = [
        [equation, dict(sorted(sizes.items()))] for equation, sizes in equations
    ]
    settings["required_range_checks"].sort()
    settings["timestamp"] = 0
    return json.dumps(settings, sort_keys=True, indent=1).encode() + b"\n"


def require_digest(circuit: Circuit, expected: Digest) -> None:
    """Returns when the circuit is the one that the network knows as `expected`.

    Raises:
        IntegrityError: it is another one.
    """
    if circuit.digest != expected:
        raise IntegrityError(
            f"the verifying key has digest 0x{circuit.digest.hex()}, not 0x{expected.hex()}"
        )
