"""Deploys all contracts by running the project's ape script, as an operator would."""

from __future__ import annotations

import asyncio
import os
import shutil
import sysconfig
from pathlib import Path

from nesa.chain.anvil import CHAIN_ID
from nesa.chain.deployment import Deployment, deployment_path
from nesa.devnet.accounts import DevnetAccount
from nesa.devnet.layout import Clone, Layout
from nesa.devnet.processes import Program, Supervisor
from nesa.devnet.sources import compiled_stamp, is_compiled
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address


async def compile_contracts(supervisor: Supervisor, clone: Clone, log: Path) -> None:
    """Bring the contracts' bytecode up to date; quick when nothing changed.

    Raises:
        InvalidConfiguration: ape is not installed.
        Unavailable: a contract does not compile; the log says why.
    """
    if is_compiled(clone.root / "contracts", compiled_stamp(clone.root)):
        return
    command = (_script("ape"), "run", "compile_contracts")
    environment = {"PATH": _path(), "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    await supervisor.complete(Program("compile", command, log, environment, clone.root))


async def deploy_contracts(
    supervisor: Supervisor,
    layout: Layout,
    clone: Clone,
    rpc_url: str,
    deployer: DevnetAccount,
    treasury: Address,
    reviewers: Address,
) -> Deployment:
    """Addresses of a fresh set of contracts.

    Raises:
        InvalidConfiguration: ape is not installed.
        Unavailable: the script failed; its log says why.
    """
    _give_ape_the_key(layout, deployer)
    roles = ["--treasury", treasury, "--reviewer-pool", reviewers]
    command = [_script("ape"), "run", "deploy", "--network", rpc_url, "--account", deployer.name]
    command += ["--output", str(layout.deployments), *roles]
    program = Program(
        name="deploy",
        command=tuple(command),
        log=layout.log("deploy"),
        environment=_environment(layout, deployer),
        directory=clone.root,
    )
    await supervisor.complete(program)
    return await asyncio.to_thread(Deployment.read, deployment_path(layout.deployments, CHAIN_ID))


def _script(name: str) -> str:
    """A console script of this Python's environment.

    Raises:
        InvalidConfiguration: it is not installed.
    """
    found = shutil.which(name, path=_path())
    if found is None:
        raise InvalidConfiguration(f"{name} is not installed here; run `make setup` first")
    return found


def _give_ape_the_key(layout: Layout, deployer: DevnetAccount) -> None:
    accounts = layout.ape / "accounts"
    accounts.mkdir(parents=True, exist_ok=True)
    target = accounts / f"{deployer.name}.json"
    shutil.copyfile(deployer.files.keystore, target)
    target.chmod(0o600)


def _path() -> str:
    """The search path with this Python's own scripts in front, where vyper is."""
    return sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")


def _environment(layout: Layout, deployer: DevnetAccount) -> dict[str, str]:
    """ape finds vyper on PATH only, and keeps what it learns in its data folder."""
    return {
        "PATH": _path(),
        "APE_DATA_FOLDER": str(layout.ape),
        "NESA_DEPLOYER_PASSWORD_FILE": str(Path(deployer.files.password_file)),
        "PYTHONWARNINGS": "ignore",
        "NO_COLOR": "1",
    }
