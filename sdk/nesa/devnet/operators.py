"""Miners and oracles of a development network, set up and run by their own commands."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from nesa.chain.anvil import CHAIN_ID, free_port
from nesa.chain.deployment import deployment_path
from nesa.devnet.accounts import write_password
from nesa.devnet.foundation import Foundation
from nesa.devnet.layout import Layout
from nesa.devnet.models import PublishedModel
from nesa.devnet.processes import Program, Running, Supervisor, describe_failure
from nesa.protocol.errors import InvalidConfiguration, Unavailable
from nesa.protocol.ids import Address

READY_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Seat:
    """A seat that a miner is to take."""

    model: PublishedModel
    shard: int


@dataclass(frozen=True, slots=True)
class Operator:
    """A miner, an oracle or a watchtower: its name, its folder, where it listens, its addresses.

    `group` are words between its command and what it is to do. A watchtower has one account only.
    """

    name: str
    command: str
    folder: Path
    port: int
    owner: Address
    signer: Address
    group: tuple[str, ...] = ()

    @property
    def endpoint(self) -> str:
        """Where others reach it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def password_file(self) -> Path:
        """First line opens its keys."""
        return self.folder.with_suffix(".password")

    @property
    def log_name(self) -> str:
        """Name of its process and log."""
        return self.name


class Founder:
    """Runs the operators' own commands; everything that they print goes to their logs."""

    def __init__(self, supervisor: Supervisor, foundation: Foundation) -> None:
        self._supervisor = supervisor
        self._foundation = foundation

    @property
    def _layout(self) -> Layout:
        return self._foundation.layout

    async def found(self, name: str, command: str) -> Operator:
        """A new operator with keys of its own.

        Raises:
            Unavailable: its `init` failed; the message has the end of its log.
        """
        folder, port = self._layout.operator(name), free_port()
        write_password(folder.with_suffix(".password"), secrets.token_urlsafe(24))
        words = ["init", "--dir", str(folder), "--rpc-url", self._foundation.chain.url]
        words += ["--deployment", str(deployment_path(self._layout.deployments, CHAIN_ID))]
        words += ["--endpoint", f"http://127.0.0.1:{port}", "--port", str(port)]
        words += ["--light-keys", "--json"]
        if command == MINER:
            words += ["--store", str(self._layout.store)]
        said = await self._run(name, command, words, folder)
        owner, signer = (Address(str(said[key])) for key in ("owner", "signer"))
        return Operator(name, command, folder, port, owner, signer)

    async def found_watchtower(self, name: str, *words: str) -> Operator:
        """A new watchtower with a key of its own; it needs NES and coin before it can challenge.

        `words` are options of its `init`.

        Raises:
            Unavailable: its `init` failed; the message has the end of its log.
        """
        folder, port = self._layout.operator(name), free_port()
        write_password(folder.with_suffix(".password"), secrets.token_urlsafe(24))
        place = ["--dir", str(folder), "--rpc-url", self._foundation.chain.url]
        place += ["--deployment", str(deployment_path(self._layout.deployments, CHAIN_ID))]
        place += ["--port", str(port), "--store", str(self._layout.store)]
        init = [*WATCHTOWER, "init", *place, *words, "--light-keys", "--json"]
        said = await self._run(name, MINER, init, folder)
        account = Address(str(said["account"]))
        return Operator(name, MINER, folder, port, account, account, WATCHTOWER)

    async def register(self, operator: Operator, seat: Seat | None) -> None:
        """Stake and take a seat; None is an oracle's.

        Raises:
            Unavailable: its `register` failed; the message has the end of its log.
        """
        words = ["register", "--dir", str(operator.folder), "--json"]
        if seat is not None:
            version = f"0x{seat.model.version_id.hex()}"
            words += ["--version", version, "--shard", str(seat.shard)]
        await self._run(operator.name, operator.command, words, operator.folder)

    async def start(self, operator: Operator) -> Running:
        """Start its daemon; `wait_until_ready` says when it works."""
        words = [*operator.group, "run", "--dir", str(operator.folder)]
        return await self._supervisor.start(
            self._program(operator.name, operator.command, words, operator.folder)
        )

    async def start_defence(self, operator: Operator) -> str:
        """Have a miner's owner defend its signers; returns the name of the process."""
        name, words = f"{operator.name}-owner", ["defend", "--dir", str(operator.folder)]
        await self._supervisor.start(self._program(name, operator.command, words, operator.folder))
        return name

    async def _run(
        self, name: str, command: str, words: Sequence[str], folder: Path
    ) -> Mapping[str, Any]:
        """What a command that ends says as JSON."""
        program = self._program(f"{name}-{words[0]}", command, words, folder)
        program.log.unlink(missing_ok=True)
        await self._supervisor.complete(program)
        return _last_document(program.log)

    def _program(self, name: str, command: str, words: Sequence[str], folder: Path) -> Program:
        return Program(
            name=name,
            command=(find_script(command), *words),
            log=self._layout.log(name),
            environment=self.environment(folder),
        )

    def environment(self, folder: Path) -> dict[str, str]:
        """What operators read from the environment; never a secret itself."""
        return {
            "NESA_PASSWORD_FILE": str(folder.with_suffix(".password")),
            "NESA_MINER_PROVING_CACHE": str(self._foundation.clone.proving_cache),
            "NESA_WATCHTOWER_PROVING_CACHE": str(self._foundation.clone.proving_cache),
            "PYTHONWARNINGS": "ignore",
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }


MINER: Final = "nesa-miner"
ORACLE: Final = "nesa-oracle"
WATCHTOWER: Final = ("watchtower",)
"""Words of `MINER` that are a watchtower's."""


def find_script(name: str) -> str:
    """A console script of this Python's environment.

    Raises:
        InvalidConfiguration: it is not installed.
    """
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        raise InvalidConfiguration(f"{name} is not installed here; run `make setup` first")
    return found


def seats_of(models: Sequence[PublishedModel], miner: int) -> tuple[Seat, ...]:
    """Seats of the miner with this number: one in each model, shards in turn."""
    return tuple(Seat(model, miner % len(model.model.shards)) for model in models)


async def wait_until_ready(operators: Sequence[Operator], supervisor: Supervisor) -> None:
    """Returns when every daemon follows the chain.

    Raises:
        Unavailable: one of them ended, or is not ready in time.
    """
    try:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            await asyncio.gather(*(_await_ready(session, one, supervisor) for one in operators))
    except TimeoutError as error:
        raise Unavailable(f"not every operator was ready within {READY_SECONDS:g} s") from error


async def _await_ready(
    session: aiohttp.ClientSession, operator: Operator, supervisor: Supervisor
) -> None:
    while True:
        running = supervisor.running[operator.name]
        if not running.is_alive:
            raise Unavailable(describe_failure(running))
        try:
            async with session.get(f"{operator.endpoint}/readyz") as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(POLL_SECONDS)


def _last_document(log: Path) -> Mapping[str, Any]:
    """The JSON document that ends a log.

    Raises:
        Unavailable: there is none.
    """
    text = log.read_text("utf-8", "replace")
    start = text.find("{\n") if "{\n" in text else text.rfind("{")
    try:
        document: Mapping[str, Any] = json.loads(text[start:])
    except ValueError as error:
        raise Unavailable(f"{log} does not end in a JSON document") from error
    return document
