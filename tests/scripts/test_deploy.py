"""`ape run deploy` as an operator runs it, on chains of its own."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from nesa.chain.anvil import Anvil, development_account, running_anvil
from nesa.chain.deployment import Deployment, deployment_path
from nesa.chain.keystore import create_keystore
from tests.deployment import ROOT

SOMEBODY = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
CHAIN = 31337
QUICK = 2**10
OWNER, PENDING_OWNER = "0x8da5cb5b", "0x7f4ec4c3"
"""Selectors of `owner()` and `pending_owner()`."""
ATTESTOR = "0xcada25c2"
"""Selector of `attestor()`."""
MINTER = "0x07546172"
"""Selector of `minter()`."""


class Operator:
    """Who deploys: one key known to ape, its password in a file, a folder for what is written."""

    def __init__(self, folder: Path, key: LocalAccount) -> None:
        self.address = key.address
        self.written = deployment_path(folder / "deployments", CHAIN)
        self._folder = folder
        (folder / "password").write_text("secret\n")
        (folder / "password").chmod(0o600)
        create_keystore(folder / "ape/accounts/deployer.json", "secret", key.key, QUICK)

    def deploy(self, *options: str, url: str = "http://127.0.0.1:1") -> tuple[int, str]:
        """Exit code and everything that the command says."""
        return self.run("deploy", url, *options, "--output", str(self.written.parent))

    def run(self, script: str, url: str, *options: str) -> tuple[int, str]:
        """The same of any script."""
        command = ["ape", "run", script, "--network", url, "--account", "deployer", *options]
        environment = {
            **os.environ,
            "PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"],
            "APE_DATA_FOLDER": str(self._folder / "ape"),
            "NESA_DEPLOYER_PASSWORD_FILE": str(self._folder / "password"),
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, " ".join(done.stdout.split())


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path, development_account(0))


def code_at(anvil: Anvil, address: str) -> bool:
    return bool(anvil.rpc("eth_getCode", address, "latest") != "0x")


def owner_of(anvil: Anvil, contract: str, getter: str) -> str:
    found: str = anvil.rpc("eth_call", {"to": contract, "data": getter}, "latest")
    return found[-40:]


def test_what_is_deployed_is_written_and_handed_over(operator: Operator) -> None:
    with running_anvil() as anvil:
        code, said = operator.deploy("--owner", SOMEBODY.lower(), url=anvil.url)
        assert code == 0, said
        found = Deployment.read(operator.written)
        assert all(code_at(anvil, address) for address in found.contracts().values())
        wanted = SOMEBODY.lower().removeprefix("0x")
        assert owner_of(anvil, found.token, OWNER) == wanted
        assert owner_of(anvil, found.parameters, PENDING_OWNER) == wanted
        assert owner_of(anvil, found.reward_emitter, PENDING_OWNER) == wanted
        minter = anvil.rpc("eth_call", {"to": found.token, "data": MINTER}, "latest")
        assert minter[-40:] == found.reward_emitter.lower().removeprefix("0x")
        assert "Warning" not in said
        options = ("--deployment", str(operator.written), "--attestor", SOMEBODY)
        code, said = operator.run("deploy_attestations", anvil.url, *options)
        assert code == 0, said
        address = said.partition("SeatAttestations is at ")[2][:42]
        assert owner_of(anvil, address, ATTESTOR) == wanted


def test_an_older_deployment_is_replaced_only_when_told(operator: Operator) -> None:
    operator.written.parent.mkdir(parents=True)
    operator.written.write_text("kept")
    with running_anvil() as anvil:
        code, said = operator.deploy(url=anvil.url)
        assert (code, operator.written.read_text()) == (1, "kept")
        assert "--replace" in said
        assert "Traceback" not in said
        assert int(anvil.rpc("eth_getTransactionCount", operator.address, "latest"), 16) == 0
        assert operator.deploy("--replace", url=anvil.url)[0] == 0
    assert Deployment.read(operator.written).chain_id == CHAIN


def test_a_deployment_that_stops_halfway_says_what_is_there(operator: Operator) -> None:
    with running_anvil() as anvil:
        anvil.rpc("anvil_setBalance", operator.address, hex(10**16))
        code, said = operator.deploy(url=anvil.url)
        assert code == 1
        assert "was not deployed" in said
        address = said.partition("of no use alone: token ")[2][:42]
        assert code_at(anvil, address)
        assert "Traceback" not in said
        assert not operator.written.exists()


def test_a_wrong_address_is_refused_before_a_node_is_asked(operator: Operator) -> None:
    code, said = operator.deploy("--owner", "0x12")
    assert code == 2
    assert "Invalid value for '--owner': 0x12 is no account" in said
