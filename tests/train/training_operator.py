"""A registered operator on the standing network whose keys are in files, for training peers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.keystore import create_keystore
from nesa.chain.sender import Sender
from nesa.devnet.layout import Layout
from nesa.privacy.keys import generate_key, public_bytes, save_key
from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import Address
from tests.standing_network import QUICK, StandingNetwork

COST = 2**10


@dataclass(frozen=True)
class TrainingOperator:
    """Where its keys are, and how its peer is reached on chain."""

    network: StandingNetwork
    account: Address
    folder: Path

    @property
    def client(self) -> Address:
        """Who pays on this network, and trains with this operator."""
        held = self.network.network.client
        assert held is not None
        document = json.loads(held.keystore.read_text())
        return Address("0x" + document["address"].removeprefix("0x"))

    @property
    def words(self) -> list[str]:
        """How its peer is served, but for whom it lets in."""
        keys = ["--keystore", "signer.json", "--encryption-keystore", "encryption.json"]
        found = [str(self.folder / one) if one.endswith(".json") else one for one in keys]
        return [*found, "--password-file", str(self.folder / "password"), *self.reached]

    @property
    def reached(self) -> list[str]:
        """The network."""
        return ["--network", str(Layout(self.network.folder).network)]

    @contextmanager
    def served(self, *words: str, allowed: str | None = None) -> Iterator[tuple[Process, str]]:
        """Its peer as a process of its own, and the URL."""
        options = [*self.words, "--allow", allowed or self.client, *words, "--json"]
        command = [sys.executable, "-m", "nesa.cli.main", "privacy", "serve-split", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
        try:
            assert process.stdout is not None
            lines, text = iter(process.stdout.readline, ""), ""
            while not text.strip().endswith("}"):
                text += next(lines)
            said = json.loads(text)
            assert said["operator"] == self.account
            yield process, said["url"]
        finally:
            process.kill()
            process.wait()


Process = subprocess.Popen[str]


def registered(network: StandingNetwork, folder: Path) -> TrainingOperator:
    """Make the keys of an operator in a folder, and register it."""
    password = "a password"
    (folder / "password").write_text(password + "\n")
    (folder / "password").chmod(0o600)
    owner: LocalAccount = Account.create()
    signer = create_keystore(folder / "signer.json", password, cost=COST)
    encryption = generate_key()
    save_key(folder / "encryption.json", encryption, password, COST)

    async def register() -> None:
        given = network.network
        async with await Connection.open(given.rpc_url, given.contracts) as connection:
            await connection.request("anvil_setBalance", owner.address, hex(10**18))
            vault, key = Contracts(connection).vault, PrivateKey(bytes(signer.key))
            chain_id, account = given.contracts.chain_id, Address(owner.address)
            consent = sign_consent(key, chain_id, vault.address, account)
            said = (
                Address(signer.address),
                consent,
                public_bytes(encryption),
                "http://127.0.0.1:1",
            )
            await Sender(connection, owner, QUICK).send(vault.register_operator(*said))

    asyncio.run(register())
    return TrainingOperator(network, Address(owner.address), folder)
