"""The program that makes one call to ezkl and ends: `python -m nesa.models.proving.worker`.

It reads `{"step": .., "arguments": {..}, "memory_bytes": .., "file_bytes": ..}` from stdin and
writes `{"value": ..}` or `{"failure": kind, "message": text}` to stdout. ezkl holds the
interpreter's lock, prints as it likes and can panic; here none of that reaches anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ezkl

Arguments = Mapping[str, Any]

_PR_SET_PDEATHSIG = 1


def _settings(call: Arguments) -> None:
    run = ezkl.PyRunArgs()
    for name, value in call["run_args"].items():
        setattr(run, name, tuple(value) if isinstance(value, list) else value)
    ezkl.gen_settings(call["model"], call["settings"], run)


def _compile(call: Arguments) -> None:
    ezkl.compile_circuit(call["model"], call["circuit"], call["settings"])


def _set_up(call: Arguments) -> None:
    ezkl.setup(
        call["circuit"], call["verifying_key"], call["proving_key"], call["reference"], None, False
    )


def _witness(call: Arguments) -> None:
    ezkl.gen_witness(call["inputs"], call["circuit"], call["witness"], None, None)


def _prove(call: Arguments) -> None:
    ezkl.prove(
        call["witness"], call["circuit"], call["proving_key"], call["proof"], call["reference"]
    )


def _verify(call: Arguments) -> bool:
    settings, key = call["settings"], call["verifying_key"]
    return bool(ezkl.verify(call["proof"], settings, key, call["reference"], False))


def _verifier(call: Arguments) -> None:
    """Writes Solidity. ezkl wants a solc for the ABI alone, after the source is on disk."""

    async def create() -> None:
        await ezkl.create_evm_verifier(
            call["verifying_key"],
            call["settings"],
            call["source"],
            call["source"] + ".abi",
            call["reference"],
            False,
        )

    with contextlib.suppress(RuntimeError):
        asyncio.run(create())
    if not Path(call["source"]).is_file():
        raise RuntimeError("no Solidity source was written")


STEPS: Mapping[str, Callable[[Arguments], bool | None]] = {
    "settings": _settings,
    "compile": _compile,
    "set_up": _set_up,
    "witness": _witness,
    "prove": _prove,
    "verify": _verify,
    "verifier": _verifier,
}


def _limit(memory_bytes: int, file_bytes: int) -> None:
    """Bounds this process, and ends it when its parent dies (Linux)."""
    for kind, size in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_FSIZE, file_bytes)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (size, size))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _outcome(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"value": STEPS[request["step"]](request["arguments"])}
    except MemoryError:
        return {"failure": "memory", "message": "out of memory"}
    except OSError as error:
        return {"failure": "system", "message": str(error)}
    except Exception as error:
        return {"failure": "error", "message": str(error)}
    except BaseException as error:  # a panic of the Rust code is no Exception
        return {"failure": "panic", "message": str(error)}


def main() -> None:
    """Serves the one request on stdin."""
    request = json.load(sys.stdin)
    answer = os.dup(1)
    os.dup2(2, 1)
    _limit(request["memory_bytes"], request["file_bytes"])
    with os.fdopen(answer, "w") as stream:
        json.dump(_outcome(request), stream)


if __name__ == "__main__":
    main()
