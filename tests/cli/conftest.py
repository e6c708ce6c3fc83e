"""How tests call the command, and the network that it talks to."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from nesa import Client
from nesa.chain.connection import RpcPolicy
from nesa.cli.main import main
from tests.standing_network import StandingNetwork, shared_network


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Nesa = Callable[..., Outcome]

RENDERING = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Variables that make rich write to a string as to a terminal."""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands see no choices of whoever runs the tests; a test sets its own behind this."""
    for name in [name for name in os.environ if name in RENDERING or name.startswith("NESA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def nesa(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Nesa:
    monkeypatch.setenv("COLUMNS", "160")

    def call(*words: object) -> Outcome:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def network() -> StandingNetwork:
    return shared_network()


def on_chain(network: StandingNetwork, work: Callable[[Client], Awaitable[object]]) -> object:
    async def run() -> object:
        async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as client:
            return await work(client)

    return asyncio.run(run())


@pytest.fixture
def chain_put_back(network: StandingNetwork) -> Iterator[None]:
    """What a test registers is gone behind it."""

    async def take(client: Client) -> object:
        return await client.connection.request("evm_snapshot")

    async def restore(client: Client) -> None:
        await client.connection.request("evm_revert", snapshot)

    snapshot = on_chain(network, take)
    yield
    on_chain(network, restore)
