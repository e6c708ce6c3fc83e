"""Resolves requirements/*.in into the hash-locked files, naming no host: `make lock`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.setup.failure import SetupError
from scripts.setup.placing import ROOT
from scripts.setup.python_packages import installer_environment, uv_command

_OPTIONS = (
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
)

# main first: the others may add to it but never contradict it.
_NAMES = ("main", "build", "train", "train-cpu", "uv", "node")
_BESIDE_MAIN = ("build", "train", "train-cpu")


def lock(name: str, options: Sequence[str] = ()) -> None:
    """Writes requirements/NAME.lock from NAME.in; what was locked stays unless it must move."""
    folder = Path("requirements")
    constraint = ("-c", folder / "main.lock") if name in _BESIDE_MAIN else ()
    environment = installer_environment(os.environ)
    if name != "train-cpu":
        # A wheel offered on this machine must not stand in for the one everybody else gets.
        environment.pop("UV_FIND_LINKS", None)
    uv_command(
        f"Locking {name}",
        [
            "pip",
            "compile",
            *_OPTIONS,
            *options,
            *constraint,
            folder / f"{name}.in",
            "-o",
            folder / f"{name}.lock",
        ],
        environment=environment,
    )


def main(options: Sequence[str]) -> int:
    """Locks everything; train-cpu only where find-links offers the CPU build of torch."""
    os.chdir(ROOT)
    offered = "UV_FIND_LINKS" in installer_environment(os.environ)
    for name in _NAMES:
        if name == "train-cpu" and not offered:
            print("train-cpu.lock stays: PIP_FIND_LINKS offers no CPU build of torch.")
            continue
        try:
            lock(name, options)
        except SetupError as problem:
            print(f"lock: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
