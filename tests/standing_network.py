"""A chain with contracts, models and seats, but nobody who works.

`python -m tests.standing_network FOLDER` writes network.json there, prints "ready", and runs until
its standard input ends. Blocks are mined with each transaction, so tests need not wait.
"""

from __future__ import annotations

import asyncio
import atexit
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey

from nesa.chain.anvil import development_account
from nesa.chain.connection import Connection
from nesa.chain.contracts import ORACLE_SEATS, Contracts
from nesa.chain.deployment import Network
from nesa.chain.sender import Sender, SendPolicy
from nesa.devnet.foundation import Foundation, hand_out, lay_foundation
from nesa.devnet.layout import Layout, find_clone
from nesa.devnet.models import PublishedModel, find_models
from nesa.devnet.network import describe_network
from nesa.devnet.processes import Supervisor
from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import ONE_NES, Address, Amount
from tests.reports import signer_address

SHARED = "breast-cancer-mlp"
"""The model whose products are on offer for queries on shares."""

PRODUCTS = tuple(f"{SHARED}-shared-{number}" for number in range(3))
"""What its products are called; everybody sits in the first, which serves them all."""

MINERS = 8
ORACLES = 1
QUICK = SendPolicy(poll=0.01)


@dataclass(frozen=True)
class StandingNetwork:
    """The running program and what it serves."""

    folder: Path
    network: Network

    @property
    def file(self) -> Path:
        return Layout(self.folder).network

    @property
    def registered(self) -> tuple[str, ...]:
        """Names of all versions, of which the network file has the first product only."""
        return (*(model.name for model in self.network.models), *PRODUCTS[1:])


@cache
def shared_network() -> StandingNetwork:
    """One standing network for all tests of a session; it ends with the session's process."""
    folder = Path(tempfile.mkdtemp(prefix="nesa-standing-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(standing_network(folder))


@contextmanager
def standing_network(folder: Path) -> Iterator[StandingNetwork]:
    """A standing network for the length of a `with` block."""
    command = [sys.executable, "-m", "tests.standing_network", str(folder)]
    program = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=find_clone().root
    )
    assert program.stdout is not None
    assert program.stdin is not None
    try:
        line = program.stdout.readline().strip()
        assert line == "ready", line
        yield StandingNetwork(folder, Network.read(Layout(folder).network))
    finally:
        program.stdin.close()
        program.wait(30)


async def stand(folder: Path) -> None:
    """Lay the foundation, seat operators that do not exist, wait."""
    layout = Layout(folder)
    async with Supervisor() as supervisor:
        clone = find_clone()
        models = find_models(clone.models)
        shared = (clone.models / SHARED,)
        foundation = await lay_foundation(
            supervisor, layout, clone, models, shared, lambda line: None
        )
        await seat_everybody(foundation)
        await foundation.chain.set_clock()
        describe_network(foundation).write(layout.network)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def seat_everybody(foundation: Foundation) -> None:
    """Eight operators in every model, one oracle; nobody listens at their endpoints."""
    owners = [Account.create() for _ in range(MINERS + ORACLES)]
    for owner in owners:
        await foundation.chain.give_coins(Address(owner.address))
    async with await Connection.open(foundation.chain.url, foundation.deployment) as connection:
        gifts = [(Address(owner.address), Amount(10_000 * ONE_NES)) for owner in owners]
        await hand_out(connection, foundation.people.deployer, gifts)
        for number, owner in enumerate(owners):
            await _seat(connection, owner, number, foundation.models)


async def _seat(
    connection: Connection, owner: LocalAccount, number: int, models: tuple[PublishedModel, ...]
) -> None:
    contracts, sender = Contracts(connection), Sender(connection, owner, QUICK)
    vault, stake = contracts.vault, Amount(5_000 * ONE_NES)
    signer = PrivateKey(bytes(Account.create().key))
    chain_id = connection.deployment.chain_id
    consent = sign_consent(signer, chain_id, vault.address, Address(owner.address))
    endpoint = f"http://127.0.0.1:1/{number}"
    given = (signer_address(signer), consent, secrets.token_bytes(32), endpoint)
    await sender.send(vault.register_operator(*given))
    await sender.send(contracts.token.approve(vault.address, stake))
    await sender.send(vault.deposit(stake))
    if number >= MINERS:
        await sender.send(vault.take_seat(*ORACLE_SEATS))
        return
    for published in models:
        shard = number % len(published.model.shards)
        facts = published.model.shards[shard]
        digests = (facts.circuit_digest, facts.verifier_code_hash)
        await sender.send(vault.take_seat(published.version_id, shard, *digests))


def rich_account() -> LocalAccount:
    """An account with coins and no NES."""
    return development_account(5)


if __name__ == "__main__":
    asyncio.run(stand(Path(sys.argv[1])))
