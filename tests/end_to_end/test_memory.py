"""Miners that may use 512 MiB of address space serve their shards."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from nesa import Client, Model
from nesa.cli.demo.cast import Question
from nesa.devnet.network import Devnet
from nesa.devnet.operators import wait_until_ready
from tests.end_to_end.processes import Observer
from tests.end_to_end.test_queries import is_right

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAP = 512 << 20


@pytest_asyncio.fixture(loop_scope="session")
async def capped(
    devnet: Devnet, observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """A whole committee, so that no quorum is without one of them."""
    committee = [miner for number, miner in enumerate(devnet.miners) if number % 2 == 0]
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("NESA_MINER_MEMORY_LIMIT_MIB", "16")
    for miner in committee:
        await observer.kill(miner)
        running = await devnet.founder.start(miner)
        resource.prlimit(running.pid, resource.RLIMIT_AS, (CAP, CAP))
    await wait_until_ready(committee, devnet.supervisor)
    yield
    monkeypatch.undo()
    for miner in committee:
        await observer.kill(miner)
    await observer.revive_all()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux caps another process")
async def test_capped_miners_agree(
    capped: None, client: Client, devnet: Devnet, observer: Observer, model: Model,
    question: Question,
) -> None:  # fmt: skip
    for _ in range(3):
        assert is_right(await client.ask(model, question.features), question)
    assert resource.prlimit(observer.pid(devnet.miners[0]), resource.RLIMIT_AS) == (CAP, CAP)
    assert not devnet.supervisor.ended()
