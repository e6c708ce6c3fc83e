"""uv, pinned by hash, and the way this project calls it."""

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.setup.failure import SetupError, run_tool
from scripts.setup.placing import ROOT, TOOLS, place_folder

UV_LOCK = ROOT / "requirements" / "uv.lock"
DOWNLOAD_SECONDS = 1800.0


def locked_version(lock: Path, name: str) -> str:
    """The version of `name` that `lock` pins."""
    found = re.search(rf"^{re.escape(name)}==([^\s;]+)", lock.read_text(), re.MULTILINE)
    if found is None:
        raise SetupError(f"{lock.name} pins no {name}: run `make lock`.")
    return found[1]


def installer_environment(outer: Mapping[str, str]) -> dict[str, str]:
    """`outer` for pip and uv alike: what a person set for one of them holds for both."""
    environment = dict(outer)
    environment.pop("VIRTUAL_ENV", None)
    environment |= {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_USER": "0",
        "UV_NO_PROGRESS": "1",
        # The interpreter is the caller's choice; uv would otherwise download one.
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for ours, pips in {"UV_DEFAULT_INDEX": "PIP_INDEX_URL", "SSL_CERT_FILE": "PIP_CERT"}.items():
        if outer.get(pips):
            environment.setdefault(ours, outer[pips])
    links = [link for link in outer.get("PIP_FIND_LINKS", "").split() if _is_usable(link)]
    if links:
        environment.setdefault("UV_FIND_LINKS", ",".join(links))
    return environment


def _is_usable(link: str) -> bool:
    # pip passes over a missing folder, uv stops at it.
    return "://" in link or Path(link).exists()


def uv_command(
    doing: str,
    arguments: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
) -> str:
    """What uv printed; raises SetupError where it fails."""
    return run_tool(
        doing,
        [find_uv(), *arguments],
        environment=environment,
        seconds=DOWNLOAD_SECONDS,
        folder=ROOT,
    )


def find_uv() -> Path:
    """The pinned uv, fetched from PyPI into .tools at first use."""
    folder = TOOLS / f"uv-{locked_version(UV_LOCK, 'uv')}"
    return place_folder(_install_uv, folder) / "bin" / "uv"


def _install_uv(folder: Path) -> None:
    arguments = ("install", "--quiet", "--require-hashes", "--target", folder, "-r", UV_LOCK)
    environment = installer_environment(os.environ)
    if importlib.util.find_spec("pip") is not None:
        pip: list[str | Path] = [sys.executable, "-m", "pip"]
    elif importlib.util.find_spec("ensurepip") is not None:
        pip = _borrow_pip(folder.with_name("borrowed-pip"))
    elif (uv := shutil.which("uv")) is not None:
        pip = [uv, "pip"]
    else:
        raise SetupError(
            f"{sys.executable} has neither pip nor venv: install its pip "
            "(on Debian: python3-pip or python3-venv) and retry."
        )
    run_tool(
        "Installing uv from PyPI",
        [*pip, *arguments],
        environment=environment,
        seconds=DOWNLOAD_SECONDS,
    )


def _borrow_pip(folder: Path) -> list[str | Path]:
    run_tool(
        "Making an environment for pip",
        [sys.executable, "-m", "venv", folder],
        environment=os.environ,
        seconds=120,
    )
    return [folder / "bin" / "python", "-m", "pip"]
