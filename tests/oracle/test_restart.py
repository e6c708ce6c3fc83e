"""kill -9 after signing, at any moment: the chain sees one effect."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nesa.chain.anvil import free_port
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.keystore import create_keystore
from nesa.protocol.ids import Address
from nesa.protocol.queries import Assurance, Query, QueryStatus
from nesa_oracle.config import OracleSettings, write_settings
from nesa_oracle.journal import JobKey, Journal, Phase
from tests.oracle.network import Network, honest_bodies, members, operator_key, until

RUN = [sys.executable, "-c", "from nesa_oracle.cli import main; main()", "run", "--json", "--dir"]
PASSWORD = "for a test"


def prepare(network: Network, name: str, folder: Path) -> None:
    """A folder as `init` makes it, with the key of a seated operator."""
    network.deployment.write(folder / "deployment.json")
    settings = OracleSettings(
        rpc_url=network.anvil.url,
        deployment=Path("deployment.json"),
        port=free_port(),
        poll_seconds=0.05,
    )
    write_settings(folder, settings)
    key = bytes(operator_key(name).key)
    create_keystore(folder / settings.signer_keystore, PASSWORD, key, cost=2**10)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`nesa-oracle run` as a process of its own, killed without a word in the end."""
    environment = os.environ | {"NESA_PASSWORD": PASSWORD}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*RUN, str(folder)], env=environment, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def pooled(connection: Connection, sender: Address) -> list[dict[str, Any]]:
    found = await connection.request("txpool_content")
    mine = found["pending"].get(sender, found["pending"].get(sender.lower(), {}))
    return list(mine.values())


async def asked(network: Network, connection: Connection) -> tuple[Query, str, dict[str, bytes]]:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    network.anvil.rpc("evm_setAutomine", False)
    name = network.name_of(committees.oracles[0].signer)
    return query, name, honest_bodies(network, committees)


async def test_killed_after_signing_and_restarted_there_is_one_effect(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query, name, bodies = await asked(network, connection)
    prepare(network, name, tmp_path)
    signer = Address(operator_key(name).address)

    async def is_pooled() -> bool:
        return bool(await pooled(connection, signer))

    async def is_answered() -> bool:
        status = await Contracts(connection).market.status_of(query.query_id, "latest")
        return status is QueryStatus.FULFILLED

    async with members(network, bodies):
        with running(tmp_path):
            await until(is_pooled, 30)
        assert phase_in(tmp_path, network, signer, query) is Phase.SENT
        with running(tmp_path):
            await asyncio.sleep(4)
            assert len(await pooled(connection, signer)) == 1
            network.anvil.rpc("evm_mine")
            await until(is_answered, 60)
            network.anvil.rpc("anvil_mine", "0x2")
            await asyncio.sleep(0.5)
            assert not await pooled(connection, signer)
    assert await connection.mined_nonce(signer) == 1


async def test_killed_after_signing_and_mined_while_away_nothing_more_is_sent(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query, name, bodies = await asked(network, connection)
    prepare(network, name, tmp_path)
    signer = Address(operator_key(name).address)

    async def is_pooled() -> bool:
        return bool(await pooled(connection, signer))

    async def is_noticed() -> bool:
        return phase_in(tmp_path, network, signer, query) in (Phase.MINED, Phase.FINAL)

    async with members(network, bodies):
        with running(tmp_path):
            await until(is_pooled, 30)
        network.anvil.rpc("evm_mine")
        with running(tmp_path):
            await until(is_noticed, 30)
            assert not await pooled(connection, signer)
    assert await connection.mined_nonce(signer) == 1


async def test_a_sigterm_ends_the_process_in_order(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    prepare(network, "o0", tmp_path)

    async def is_up() -> bool:
        return b"oracle runs" in (tmp_path / "log").read_bytes()

    with running(tmp_path) as process:
        await until(is_up, 30)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 60) == 0


def phase_in(folder: Path, network: Network, signer: Address, query: Query) -> Phase:
    identity = f"{network.deployment.chain_id} {network.deployment.market} {signer}"
    journal = Journal(folder / "journal.sqlite", identity)
    with contextlib.closing(journal):
        job = journal.job(JobKey((query.query_id, query.attempt)))
        assert job is not None
        return job.phase
