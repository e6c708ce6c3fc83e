"""What miners can read with all their keys: their journals opened, the memory of their processes.

A search of files alone would also find nothing of a sealed query, whose content every member has:
journals are encrypted.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nesa import Client
from nesa.chain.keystore import read_password_file
from nesa.cli.demo.leaks import Leak, Trace, find, read_chain, read_files, spellings
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator
from nesa.privacy.envelopes import Deployment
from nesa.privacy.sealing import open_input
from nesa.privacy.shared.wire import ShareRequest, decode_request
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import IntegrityError, InvalidMessage
from nesa.protocol.ids import QueryId
from nesa.protocol.queries import decode_query
from nesa_miner.at_rest import AtRest
from nesa_miner.config import read_settings
from nesa_miner.identity import Identity, unwrapped
from nesa_miner.keys import open_identity

CALCULATED = (np.float32, np.float64, np.int64)
"""Types in which a miner calculates: that of a model's rows, that of products of shares, and that
of ids where rows are looked up."""

PAGE = 4096


@dataclass(frozen=True)
class Insides:
    """A miner's keys, and its journal as the miner itself reads it."""

    operator: Operator
    identity: Identity
    deployment: Deployment

    @classmethod
    def of(cls, devnet: Devnet, operator: Operator) -> Insides:
        """Opened with the password that the miner is started with."""
        password = read_password_file(operator.password_file)
        identity = open_identity(operator.folder, read_settings(operator.folder), password)
        contracts = devnet.network.contracts
        return cls(operator, identity, Deployment(contracts.chain_id, contracts.market))

    def journal(self) -> Iterator[Trace]:
        """Every value of every table, decrypted where it is encrypted, and the inputs of sealed
        queries whose content key is there."""
        with self._database() as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
                place = f"{table} of {self.operator.name}'s journal, opened"
                for row in database.execute(f"SELECT * FROM {table}"):
                    blobs = [value for value in row if isinstance(value, bytes)]
                    yield from (Trace(place, self._read(blob)) for blob in blobs)
            yield from (
                Trace(f"a sealed input that {self.operator.name} opens", data)
                for data in self._sealed_inputs(database)
            )

    def shares(self, session_id: QueryId) -> list[ShareRequest]:
        """What a session's client sent to this member, in order."""
        with self._database() as database:
            rows = database.execute(
                "SELECT request FROM session_statements WHERE session_id = ?"
                " ORDER BY number, round",
                (session_id,),
            ).fetchall()
        return [decode_request(self._at_rest.decrypt(stored)) for (stored,) in rows]

    @property
    def _at_rest(self) -> AtRest:
        return AtRest(self.identity.encryption, former=self.identity.former)

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        path = self.operator.folder / "journal.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            yield database

    def _read(self, stored: bytes) -> bytes:
        try:
            return self._at_rest.decrypt(stored)
        except IntegrityError:
            return stored  # it is kept in the clear

    def _sealed_inputs(self, database: sqlite3.Connection) -> Iterator[bytes]:
        rows = database.execute(
            "SELECT jobs.query, jobs.input, content_keys.body FROM jobs"
            " JOIN content_keys USING (query_id, attempt)"
        ).fetchall()
        identity = self.identity
        for encoded, sent, stored in rows:
            query, wrapped = decode_query(encoded), self._at_rest.decrypt(stored)
            me = (identity.keys, identity.address, self.deployment)
            with contextlib.suppress(InvalidMessage):  # of a long input only the digest is there
                yield open_input(unwrapped(wrapped, *me, query), query.version_id, sent)


@dataclass(frozen=True)
class Traces:
    """Everything that could be searched for what a query hides: what is open to anybody who gets
    hold of a disk, what the miners' own keys open, and what their processes have in memory."""

    closed: list[Trace]
    opened: list[Trace]
    memory: list[Trace]

    @classmethod
    async def of(cls, client: Client, devnet: Devnet, folder: Path | None = None) -> Traces:
        """As they are now; of files those below a folder, or where none is named what processes
        write."""
        memory = memory_of(devnet)
        written = [devnet.layout.logs, *(miner.folder for miner in devnet.miners)]
        places = written if folder is None else [folder]
        closed = [*await read_chain(client.connection), *read_files(places)]
        return cls(closed, opened_journals(devnet), memory)

    def places_of(self, data: bytes, edge: EdgeType) -> tuple[Leak, ...]:
        """Where a tensor is found, in any spelling."""
        values = edge.decode(data)
        written = find(spellings(data, values), (*self.closed, *self.opened))
        return (*written, *find(calculated(data, values), self.memory))

    def places_of_key(self, key: bytes) -> tuple[Leak, ...]:
        """Where a key is found, in any spelling."""
        spelled = spellings(key, np.frombuffer(key, np.uint8))
        return find(spelled, (*self.closed, *self.opened, *self.memory))

    def assert_seen(self, data: bytes, edge: EdgeType) -> None:
        """That of a sealed query is found by those who opened it only: the search can find it."""
        values = edge.decode(data)
        assert find(spellings(data, values), self.opened)
        assert find(calculated(data, values), self.memory)
        assert not find(spellings(data, values), self.closed)


def opened_journals(devnet: Devnet) -> list[Trace]:
    """The journals of all miners, each opened with that miner's own keys."""
    return [one for miner in devnet.miners for one in Insides.of(devnet, miner).journal()]


def memory_of(devnet: Devnet) -> list[Trace]:
    """What the processes of all miners have written and not cleared."""
    return [
        Trace(f"memory of {miner.name}", written)
        for miner in devnet.miners
        for area in memory_areas(devnet.supervisor.running[miner.name].pid)
        for written in without_zeros(area)
    ]


def memory_areas(pid: int) -> Iterator[bytes]:
    """A process's heaps, stacks and mapped pages that it may write, as the kernel shows them."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            area, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            first, end = (int(text, 16) for text in area.split("-"))
            try:
                memory.seek(first)
                yield memory.read(end - first)
            except (OSError, ValueError, OverflowError):
                continue  # such as the kernel's own pages


def without_zeros(area: bytes) -> Iterator[bytes]:
    """Runs of pages that hold anything: half of the memory is zeros, which take longest to search.
    No tensor that is looked for holds a page of them."""
    used = np.frombuffer(area, np.uint8).reshape(-1, PAGE).view(np.uint64).any(axis=1)
    edges = np.flatnonzero(np.diff(used.astype(np.int8), prepend=0, append=0))
    for first, end in edges.reshape(-1, 2):
        yield area[first * PAGE : end * PAGE]


def calculated(secret: bytes, values: NDArray[np.generic]) -> dict[str, bytes]:
    """The ways in which a program may hold a tensor while it calculates."""
    return {"raw bytes": secret} | {
        kind.__name__: values.astype(kind).tobytes() for kind in CALCULATED
    }
