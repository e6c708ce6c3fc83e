"""Other processors, emulated: QEMU for programs, and a Python for AArch64 to run in it.

Debian's own tool fetches them, into .tools and without root, and checks Debian's signatures. The
versions are the current ones of the release rather than pinned, because a superseded one can no
longer be fetched; what the emulators run is pinned like everything else.
"""

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from scripts.setup.environment import PYTHON
from scripts.setup.failure import SetupError, run_tool
from scripts.setup.placing import ROOT, TOOLS, place_folder
from scripts.setup.python_packages import installer_environment, uv_command

# A system folder for QEMU: libraries and Python under it, Python packages in `site`.
AARCH64 = TOOLS / "aarch64"

_SECONDS = 600.0
_SYSTEM = (
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "zlib1g",
    "libexpat1",
    "libffi8",
    "libssl3",
    "liblzma5",
    "libbz2-1.0",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3.11-minimal",
)
# What the reference imports, in the versions of the lock.
_SITE = ("eth-abi", "eth-utils", "numpy", "onnx", "pycryptodome", "pydantic")


def provide_emulator(machine: str) -> Path:
    """QEMU for programs of `machine` (x86_64 or aarch64): from PATH, or fetched.

    Raises:
        SetupError: it is not installed and cannot be fetched here.
    """
    for name in (f"qemu-{machine}", f"qemu-{machine}-static"):
        if found := shutil.which(name):
            return Path(found)
    folder = place_folder(_fetch_emulators, TOOLS / "qemu")
    return folder / "usr" / "bin" / f"qemu-{machine}-static"


def provide_aarch64() -> Path:
    """The system folder with Python and what the reference imports.

    Raises:
        SetupError: it cannot be fetched here.
    """
    return place_folder(_fetch_aarch64, AARCH64)


def _fetch_emulators(folder: Path) -> None:
    kind = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    _fetch_debian(folder, kind, ["qemu-user-static"])


def _fetch_aarch64(folder: Path) -> None:
    _fetch_debian(folder, "arm64", _SYSTEM)
    target = ("--target", folder / "site", "--python", PYTHON, "--python-version", "3.11")
    platform_of = ("--python-platform", "aarch64-unknown-linux-gnu", "--only-binary", ":all:")
    lock = ROOT / "requirements" / "main.lock"
    uv_command(
        "Installing Python packages for AArch64",
        ["pip", "install", "--quiet", *target, *platform_of, "-c", lock, *_SITE],
        environment=installer_environment(os.environ),
    )


def _fetch_debian(folder: Path, kind: str, packages: Sequence[str]) -> None:
    """Unpacks Debian packages for processors of `kind` into `folder`."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise SetupError(
                f"This system has no {tool}: install qemu-user by its own means, "
                "so that qemu-x86_64 and qemu-aarch64 are on PATH."
            )
    scratch = folder / "apt"
    options = _private_apt(scratch, kind)
    print(f"Fetching {len(packages)} Debian packages ({kind}) for the emulator.", flush=True)
    for command in (["update"], ["download", *packages]):
        run_tool(
            "Fetching from Debian",
            ["apt-get", "--quiet", *options, *command],
            environment=os.environ,
            seconds=_SECONDS,
            folder=scratch,
        )
    for archive in sorted(scratch.glob("*.deb")):
        run_tool(
            f"Unpacking {archive.name}",
            ["dpkg-deb", "--extract", archive, folder],
            environment=os.environ,
            seconds=_SECONDS,
        )
    shutil.rmtree(scratch)


def _private_apt(scratch: Path, kind: str) -> list[str]:
    """Options that keep apt's lists and caches in `scratch`, so that it needs no root."""
    for part in ("lists/partial", "cache/archives/partial"):
        (scratch / part).mkdir(parents=True)
    settings = {
        "Dir::State::Lists": str(scratch / "lists"),
        "Dir::State::status": "/dev/null",
        "Dir::Cache": str(scratch / "cache"),
        "APT::Architecture": kind,
        "APT::Architectures": kind,
        "APT::Update::Error-Mode": "any",
        "APT::Sandbox::User": "",
    }
    return [f"--option={name}={value}" for name, value in settings.items()]
