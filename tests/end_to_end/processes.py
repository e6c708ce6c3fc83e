"""Looks into operators from outside and does to them what power cuts and slow machines do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nesa.chain.committees import DrawnCommittees
from nesa.client.client import Client
from nesa.client.watching import Drawn, Fulfilled, Refunded
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator, wait_until_ready
from nesa.protocol.ids import QueryId

PATIENCE = 240.0


@dataclass(frozen=True)
class Observer:
    """Handles on the processes of a network."""

    devnet: Devnet

    def pid(self, operator: Operator) -> int:
        return self.devnet.supervisor.running[operator.name].pid

    @contextlib.contextmanager
    def frozen(self, *operators: Operator) -> Iterator[None]:
        """Operators that stand still, as when a machine swaps; they may be killed then."""
        for operator in operators:
            os.killpg(self.pid(operator), signal.SIGSTOP)
        try:
            yield
        finally:
            for operator in operators:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid(operator), signal.SIGCONT)

    async def kill(self, operator: Operator) -> None:
        await self.devnet.supervisor.kill(operator.name)

    async def restart(self, operator: Operator) -> None:
        await self.devnet.founder.start(operator)
        await wait_until_ready([operator], self.devnet.supervisor)

    async def revive_all(self) -> None:
        """Bring back whoever is dead, so that the next test finds everybody."""
        for operator in (*self.devnet.miners, *self.devnet.oracles):
            if not self.devnet.supervisor.running[operator.name].is_alive:
                await self.restart(operator)

    def journal_count(self, operator: Operator, table: str, query_id: QueryId) -> int:
        """Rows of a query in an operator's journal."""
        path = operator.folder / "journal.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            sql = f"SELECT count(*) FROM {table} WHERE query_id = ?"
            return int(database.execute(sql, (query_id,)).fetchone()[0])


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Returns once the condition holds."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.01)


async def drawn(client: Client, query_id: QueryId) -> DrawnCommittees:
    """The committees of a query, as soon as they are known."""
    async for stage in client.watch(query_id):
        if isinstance(stage, Drawn):
            return stage.committees
    raise AssertionError("the query ended before its draw")


async def count_fulfilments(client: Client, query_id: QueryId) -> int:
    """How often the chain says that a query was answered."""
    seen = 0
    async for stage in client.watch(query_id):
        seen += isinstance(stage, Fulfilled)
        if isinstance(stage, Fulfilled | Refunded):
            return seen
    return seen


@contextlib.asynccontextmanager
async def no_blocks(client: Client) -> AsyncIterator[None]:
    """Transactions stay in the pool within the block."""
    await client.connection.request("evm_setIntervalMining", 0)
    try:
        yield
    finally:
        await client.connection.request("evm_setIntervalMining", 1)


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str(folder).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found
