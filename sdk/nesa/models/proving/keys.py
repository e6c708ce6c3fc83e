"""Proving keys on disk: large, made from the circuit alone, and named by the circuit's digest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nesa.models.proving.circuits import (
    COMPILED_FILE,
    PROVING_KEY_FILE,
    VERIFYING_KEY_FILE,
    WORKING_PREFIX,
    Circuit,
    compile_into,
    set_up_into,
    working_folder,
    write_sources,
)
from nesa.models.proving.process import DEFAULT_LIMITS, Limits
from nesa.protocol.errors import ExhaustedResource, IntegrityError, InvalidConfiguration

BYTES_PER_ROW: Final = 12_288
"""More than a proving key and all that is written beside it take for one row of the circuit."""

ABANDONED_SECONDS: Final = 6 * 3600
"""Age at which a working folder must be that of a process that was killed."""

_SEAL: Final = "seal.json"
_SEALED: Final = (COMPILED_FILE, PROVING_KEY_FILE)


@dataclass(frozen=True, slots=True)
class ProvingKeys:
    """Where the compiled circuit and the proving key lie."""

    compiled: Path
    proving_key: Path


async def provide_keys(
    circuit: Circuit, cache: Path, limits: Limits = DEFAULT_LIMITS
) -> ProvingKeys:
    """Keys of `circuit` from the folder `cache`, made there first when they are not intact.

    What killed processes left behind in `cache` is removed.

    Raises:
        IntegrityError: set-up gives another verifying key than the circuit's.
        InvalidModel: the circuit breaks a rule.
        InvalidConfiguration: the cache cannot be written.
        ExhaustedResource: time, memory or disk is used up.
    """
    home = cache / circuit.digest.hex()
    _sweep(cache)
    if not _is_intact(home):
        _prepare(cache, home)
        _require_space(cache, circuit)
        await _make(circuit, cache, home, limits)
    return ProvingKeys(home / COMPILED_FILE, home / PROVING_KEY_FILE)


def has_keys(circuit: Circuit, cache: Path) -> bool:
    """Whether intact keys of `circuit` are in the folder `cache`; reads them whole."""
    return _is_intact(cache / circuit.digest.hex())


async def _make(circuit: Circuit, cache: Path, home: Path, limits: Limits) -> None:
    """Makes the keys in a folder beside `home` and moves them there in one step."""
    with working_folder(cache) as folder:
        write_sources(circuit, folder)
        await compile_into(folder, circuit.source, circuit.result, circuit.reference, limits)
        await set_up_into(folder, circuit.reference, limits)
        if (folder / VERIFYING_KEY_FILE).read_bytes() != circuit.verifying_key:
            raise IntegrityError(
                f"set-up does not reproduce the circuit 0x{circuit.digest.hex()}: "
                "its model, settings or reference string is another one"
            )
        kept = folder / "kept"
        _seal(folder, kept)
        with contextlib.suppress(OSError):  # another process was faster: its keys are the same
            kept.rename(home)


def _seal(folder: Path, kept: Path) -> None:
    kept.mkdir()
    for name in _SEALED:
        (folder / name).rename(kept / name)
    facts = {name: [(kept / name).stat().st_size, _sha256(kept / name)] for name in _SEALED}
    try:
        (kept / _SEAL).write_text(json.dumps(facts))
    except OSError as error:
        raise ExhaustedResource(f"the proving keys could not be stored: {error}") from None


def _is_intact(home: Path) -> bool:
    """Whether both files have the size and the SHA-256 that were sealed."""
    try:
        facts = json.loads((home / _SEAL).read_text())
        return all(
            (home / name).stat().st_size == facts[name][0]
            and _sha256(home / name) == facts[name][1]
            for name in _SEALED
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _prepare(cache: Path, home: Path) -> None:
    """Makes the cache and clears what is damaged in it."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if home.exists():
            shutil.rmtree(home)
    except OSError as error:
        raise InvalidConfiguration(f"proving cache {cache}: {error.strerror}") from None
    if not os.access(cache, os.W_OK):
        raise InvalidConfiguration(f"proving cache {cache} cannot be written")


def _sweep(cache: Path) -> None:
    """Removes what processes left behind that were killed while they worked."""
    for folder in cache.glob(f"{WORKING_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(folder)


def _require_space(cache: Path, circuit: Circuit) -> None:
    needed = BYTES_PER_ROW << circuit.reference.identity.k
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise ExhaustedResource(
            f"{cache} has {free >> 20} MiB free, proving keys need {needed >> 20} MiB"
        )
