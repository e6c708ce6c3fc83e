"""Runs one call to ezkl in a process of its own, bounded in time, memory and disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesa.protocol.errors import ExhaustedResource, InvalidModel, InvalidTensor, NesaError

GIBIBYTE: Final = 2**30

_KEPT_VARIABLES: Final = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "TMPDIR")
_OUT_OF_SPACE: Final = ("No space left on device", "File too large", "Disk quota exceeded")
_OUT_OF_MEMORY: Final = ("memory allocation", "Cannot allocate memory", "out of memory")


class ProvingFailed(NesaError):
    """ezkl failed where the input gives no reason for it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A call to ezkl: its name in the worker, its name in sentences, and what its refusal means."""

    key: str
    title: str
    error: type[NesaError]


SETTINGS: Final = Step("settings", "measuring the circuit", InvalidModel)
COMPILE: Final = Step("compile", "compiling the circuit", InvalidModel)
SET_UP: Final = Step("set_up", "making the keys", InvalidModel)
WITNESS: Final = Step("witness", "running the circuit", InvalidTensor)
PROVE: Final = Step("prove", "proving", ProvingFailed)
VERIFY: Final = Step("verify", "verifying", ProvingFailed)
VERIFIER: Final = Step("verifier", "writing the verifier", InvalidModel)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one call: wall time, address space, largest file, and threads (0 for all)."""

    seconds: float = 900.0
    memory_bytes: int = 12 * GIBIBYTE
    file_bytes: int = 4 * GIBIBYTE
    threads: int = 0


DEFAULT_LIMITS: Final = Limits()


async def run_step(
    step: Step, arguments: Mapping[str, Any], folder: Path, limits: Limits = DEFAULT_LIMITS
) -> bool | None:
    """Result of `step`, run in a fresh process whose home is `folder`.

    The process and whatever it started are dead when this returns, raises or is cancelled.

    Raises:
        InvalidModel, InvalidTensor, ProvingFailed: ezkl refused or panicked; see `Step`.
        ExhaustedResource: time, memory or disk is used up.
    """
    request = {
        "step": step.key,
        "arguments": arguments,
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
    }
    code, answer, complaint = await _communicate(step, json.dumps(request), folder, limits)
    return _result(step, code, answer, complaint)


async def _communicate(
    step: Step, request: str, folder: Path, limits: Limits
) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *_command(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=_environment(folder, limits),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.seconds):
            answer, complaint = await process.communicate(request.encode())
    except TimeoutError:
        raise ExhaustedResource(
            f"{step.title} did not finish within {limits.seconds:g} seconds"
        ) from None
    finally:
        if process.returncode is None:
            _kill_group(process.pid)
            await asyncio.shield(process.wait())
    return process.returncode or 0, answer, complaint


def _command() -> Sequence[str]:
    return sys.executable, "-m", "nesa.models.proving.worker"


def _environment(folder: Path, limits: Limits) -> dict[str, str]:
    """Variables of the worker: no secrets of the parent, nothing of the user's home."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    kept |= {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PYTHONUTF8": "1"}
    if limits.threads:
        kept["RAYON_NUM_THREADS"] = str(limits.threads)
    return kept


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _result(step: Step, code: int, answer: bytes, complaint: bytes) -> bool | None:
    try:
        outcome = json.loads(answer)
    except ValueError:
        text = complaint.decode(errors="replace")
        raise _death(step, code, text) from None
    if "failure" in outcome:
        raise _failure(step, outcome["failure"], outcome["message"])
    value: bool | None = outcome["value"]
    return value


def _failure(step: Step, kind: str, message: str) -> NesaError:
    """The error for what the worker reported; ezkl's own text becomes its last clause."""
    sentence = " ".join(message.split()) or kind
    if any(text in sentence for text in _OUT_OF_SPACE):
        return ExhaustedResource(f"{step.title} ran out of disk space")
    if kind == "memory" or any(text in sentence for text in _OUT_OF_MEMORY):
        return ExhaustedResource(f"{step.title} ran out of memory")
    verb = "panicked" if kind == "panic" else "failed"
    return step.error(f"{step.title} {verb}: {sentence}")


def _death(step: Step, code: int, complaint: str) -> NesaError:
    """The error for a worker that ended without an answer."""
    if code == -signal.SIGKILL or any(text in complaint for text in _OUT_OF_MEMORY):
        return ExhaustedResource(f"{step.title} was killed or ran out of memory")
    last = complaint.strip().splitlines()[-1:] or ["no message"]
    return ProvingFailed(f"{step.title} ended with code {code}: {last[0]}")
