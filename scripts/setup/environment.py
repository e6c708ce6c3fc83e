"""The project's virtual environment, made from the locks and remade when they change."""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from scripts.setup.failure import SetupError, explain_output
from scripts.setup.placing import ROOT
from scripts.setup.python_packages import installer_environment, uv_command

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
_LOCKS = ROOT / "requirements"
_MAIN_STAMP = VENV / "nesa-main.stamp"
_TRAIN_STAMP = VENV / "nesa-train.stamp"
_INSTALL = ("pip", "install", "--quiet", "--python", PYTHON)

# The one beneath any active environment: .venv may be the active one, and it is remade.
_BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)

# What the demo's processes and the tests load first. Importing it once here saves every one
# of them the parsing, at a tenth of the cost of byte-compiling all that is installed.
_WARM = (
    "import aiohttp, cbor2, cryptography, eth_account, ezkl, fsspec, onnx, onnxruntime, "
    "prometheus_client, pydantic_settings, rich.console, structlog, web3",
    "import boa, hypothesis, pyrevm, pytest, vyper.cli.vyper_compile",
)


def provide_environment() -> Path:
    """.venv with everything the demo and the tests need and the project itself, editable."""
    stamp = _digest(_LOCKS / "build.lock", _LOCKS / "main.lock")
    if _holds(_MAIN_STAMP, stamp):
        return PYTHON
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        raise SetupError("Nesa runs on Python 3.11 and 3.12: call make with PYTHON=python3.12.")
    print("Installing the locked Python packages into .venv.", flush=True)
    # Always anew: that takes seconds, and nothing of an older lock or another place stays.
    uv_command(
        "Making .venv",
        ["venv", "--quiet", "--clear", "--python", _BASE_PYTHON, VENV],
        environment=installer_environment(os.environ),
    )
    _install_main()
    _warm_up()
    _MAIN_STAMP.write_text(stamp)
    return PYTHON


def provide_training() -> None:
    """What trains and holds the float models added to .venv: torch's CPU build where on offer."""
    provide_environment()
    stamp = _digest(_MAIN_STAMP, _LOCKS / "train.lock", _LOCKS / "train-cpu.lock")
    if not _holds(_TRAIN_STAMP, stamp):
        print("Installing torch, scikit-learn and MiniLM into .venv.", flush=True)
        _install_training(installer_environment(os.environ))
        _TRAIN_STAMP.write_text(stamp)


def _install_training(environment: dict[str, str]) -> None:
    # PyPI has no CPU build of torch for Linux, and the one it has brings gigabytes of CUDA.
    if "UV_FIND_LINKS" in environment:
        try:
            _install(_LOCKS / "train-cpu.lock", environment)
        except SetupError as problem:
            print(f"Taking torch from PyPI instead. {problem}", flush=True)
        else:
            return
    _install(_LOCKS / "train.lock", environment)


def _install_main() -> None:
    environment = installer_environment(os.environ)
    # First what builds, because the few source packages are built with exactly that.
    _install(_LOCKS / "build.lock", environment)
    _install(_LOCKS / "main.lock", environment, "--no-build-isolation")
    uv_command(
        "Installing the project into .venv",
        [*_INSTALL, "--no-build-isolation", "--no-deps", "--editable", ROOT],
        environment=environment,
    )


def _install(lock: Path, environment: dict[str, str], *options: str) -> None:
    uv_command(
        f"Installing {lock.name}",
        [*_INSTALL, *options, "--require-hashes", "-r", lock],
        environment=environment,
    )


def _warm_up() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    running = [
        subprocess.Popen(
            [PYTHON, "-W", "ignore", "-c", line],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in _WARM
    ]
    outputs = [process.communicate()[1] for process in running]
    for process, output in zip(running, outputs, strict=True):
        if process.returncode != 0:
            raise explain_output("Loading what was installed", output)


def _digest(*files: Path) -> str:
    """What the environment was made from; a changed tool setting does not count."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    made_from = [
        str(ROOT),
        sys.version_info[:2],
        project["build-system"],
        project["project"],
        [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
    ]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def _holds(stamp: Path, digest: str) -> bool:
    return stamp.is_file() and stamp.read_text() == digest
