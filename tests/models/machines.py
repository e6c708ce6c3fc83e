"""The processor zoo: the same bytes on this machine, on older and on other processors.

Emulated by QEMU, which is faithful in what IEEE 754 prescribes but is no silicon. It has no
AVX-512, so the newest kernels are those of the machine itself.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.setup.emulators import provide_aarch64, provide_emulator

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ("reference", "basic", "all", "control")
SOURCES = (ROOT, ROOT / "sdk")


@dataclass(frozen=True)
class Machine:
    """A command that runs the zoo's program, its engines, and what the environment adds."""

    command: tuple[str, ...]
    engines: tuple[str, ...] = RUNTIME
    path: tuple[Path, ...] = SOURCES
    variables: dict[str, str] = field(default_factory=dict)


def native() -> Machine:
    """This processor."""
    return Machine((sys.executable,))


def older(processor: str, kernels: str) -> Machine:
    """An older x86-64 processor, named for QEMU and, since QEMU's answers confuse it, OpenBLAS."""
    if platform.machine() != "x86_64":
        pytest.skip("older x86-64 processors are emulated on x86-64 only")
    emulator = str(provide_emulator("x86_64"))
    variables = {"OPENBLAS_CORETYPE": kernels}
    return Machine((emulator, "-cpu", processor, sys.executable), variables=variables)


def aarch64() -> Machine:
    """A Cortex-A72: the reference alone, since ONNX Runtime does not survive QEMU's AArch64."""
    system = provide_aarch64()
    python = str(system / "usr" / "bin" / "python3.11")
    emulator = (str(provide_emulator("aarch64")), "-L", str(system), "-cpu", "cortex-a72")
    home = {"PYTHONHOME": str(system / "usr")}
    return Machine(
        (*emulator, python, "-s", "-S"), ("reference", "control"), (system / "site", *SOURCES), home
    )


MACHINES = {
    "native": native,
    "Nehalem (SSE4)": lambda: older("Nehalem", "Nehalem"),
    "Haswell (AVX2)": lambda: older("Haswell", "Haswell"),
    "Cortex-A72": aarch64,
}


def computed(machine: Machine) -> dict[str, dict[str, str]]:
    """Digests by engine and subject."""
    path = os.pathsep.join(map(str, machine.path))
    done = subprocess.run(
        [*machine.command, "-m", "tests.models.zoo", *machine.engines],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"} | machine.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def table(columns: dict[str, dict[str, str]]) -> str:
    """Markdown: one line a subject, one column an engine on a machine, the digests cut short."""
    subjects = next(iter(columns.values()))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for subject in subjects:
        cells = (found[subject][:8] for found in columns.values())
        lines.append(f"| {subject} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mismatches(columns: dict[str, dict[str, str]]) -> list[str]:
    """Where a column has another digest than the first."""
    expected = next(iter(columns.values()))
    return [
        f"{name}: {subject}"
        for name, found in columns.items()
        for subject in expected
        if found.get(subject) != expected[subject]
    ]
