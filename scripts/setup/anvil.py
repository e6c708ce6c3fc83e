"""Finds the development chain, anvil, or fetches the pinned one."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from scripts.setup.failure import SetupError
from scripts.setup.node_runtime import find_node_runtime
from scripts.setup.npm_packages import NpmPackage, fetch_file, read_pins
from scripts.setup.placing import TOOLS, place_link

# Where everything else looks, whichever anvil it turned out to be.
ANVIL = TOOLS / "bin" / "anvil"
_MEMBER = "package/bin/anvil"


def provide_anvil() -> Path:
    """An anvil that runs, linked at .tools/bin/anvil; $ANVIL wins, then PATH, then the pin."""
    chosen = _named_anvil() or _installed_anvil() or _pinned_anvil()
    if not ANVIL.is_symlink() or ANVIL.readlink() != chosen:
        place_link(chosen, ANVIL)
    return chosen


def anvil_version(program: Path) -> tuple[int, ...] | None:
    """The version `program` reports, or nothing where it is no anvil or does not run."""
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"anvil\D*(\d+)\.(\d+)\.(\d+)", done.stdout)
    if done.returncode != 0 or found is None:
        return None
    return tuple(int(part) for part in found.groups())


def _named_anvil() -> Path | None:
    named = os.environ.get("ANVIL")
    if not named:
        return None
    found = shutil.which(named)
    if found is None or anvil_version(Path(found)) is None:
        raise SetupError(f"ANVIL names {named}, which does not run: mend or unset it.")
    return Path(found).absolute()


def _installed_anvil() -> Path | None:
    folders = os.environ.get("PATH", "").split(os.pathsep)
    # Our own link must not be found as if the machine had an anvil.
    elsewhere = [folder for folder in folders if folder and Path(folder) != ANVIL.parent]
    found = shutil.which("anvil", path=os.pathsep.join(elsewhere))
    version = anvil_version(Path(found)) if found else None
    # Before 1.0 the options and the default hard fork were others.
    return Path(found).absolute() if found and version and version >= (1, 0, 0) else None


def _pinned_anvil() -> Path:
    package = _package_for_this_machine()
    program = TOOLS / f"anvil-{package.version}" / "anvil"
    if not program.is_file():
        print(f"Fetching anvil {package.version} from npm.", flush=True)
        fetch_file(package, _MEMBER, program, runtime=find_node_runtime(), mode=0o755)
    if anvil_version(program) is None:
        raise SetupError(
            f"The fetched anvil does not run here (it needs glibc 2.35 or newer): "
            f"install anvil {package.version} yourself and set ANVIL to it."
        )
    return program


def _package_for_this_machine() -> NpmPackage:
    kind = f"{platform.system().lower()}-{platform.machine().lower()}"
    pins = read_pins()
    if f"anvil-{kind}" not in pins:
        raise SetupError(
            f"No anvil is pinned for {kind}: install Foundry's anvil 1.7.1 and set ANVIL to it."
        )
    return pins[f"anvil-{kind}"]
