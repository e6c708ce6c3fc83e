"""One shard that cannot be used keeps no other from being used, and is tried again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from nesa.models.folder import load
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.errors import IntegrityError, Unavailable
from nesa.protocol.ids import ZERO_DIGEST, VersionId
from nesa_miner import warming
from nesa_miner.warming import WarmUp
from tests.miner.committee_network import MODEL, VERSION

FACTS = load(MODEL).shards[0]


@dataclass(slots=True)
class FailingLibrary:
    """Fails so often for each shard before it works; the last shard cannot be proved."""

    failures: dict[int, list[Exception]]
    runs: list[int] = field(default_factory=list)
    proves: list[int] = field(default_factory=list)
    released: list[tuple[VersionId, int | None]] = field(default_factory=list)

    async def runner(self, _: VersionId, shard: int) -> tuple[Any, Any]:
        self.runs.append(shard)
        if self.failures.get(shard):
            raise self.failures[shard].pop(0)
        return (replace(FACTS, circuit_digest=ZERO_DIGEST) if shard == 2 else FACTS), None

    async def circuits(self, _: Any) -> CircuitKind:
        raise AssertionError("no circuit is asked for here")

    async def prover(self, _: VersionId, shard: int) -> Any:
        self.proves.append(shard)

    def release(self, version_id: VersionId, shard: int | None = None) -> None:
        self.released.append((version_id, shard))


async def test_the_others_are_loaded_and_the_failure_is_logged() -> None:
    library = FailingLibrary({0: [Unavailable("no store has it")]})
    warm_up = WarmUp(library)
    with capture_logs() as logs:
        await warm_up.begin([(VERSION, shard) for shard in range(3)])
    assert warm_up.cold == {(VERSION, 0)}
    assert library.proves == [1]
    (failure,) = [line for line in logs if line["event"] == "shard not ready"]
    assert (failure["shard"], failure["reason"]) == (0, "no store has it")


async def test_what_failed_is_tried_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "FIRST_PAUSE", 0.0)
    library = FailingLibrary({1: [Unavailable("away"), IntegrityError("changed"), Unavailable("")]})
    warm_up = WarmUp(library)
    await warm_up.begin([(VERSION, 0), (VERSION, 1)])
    going = asyncio.create_task(warm_up.go_on())
    async with asyncio.timeout(60):
        while warm_up.cold:
            await asyncio.sleep(0)
    going.cancel()
    assert library.runs == [0, 1, 1, 1, 1]


async def test_a_seat_that_moved_is_loaded_and_the_old_shard_freed_when_it_is_done() -> None:
    library = FailingLibrary({2: [Unavailable("away")]})
    warm_up = WarmUp(library)
    await warm_up.begin([(VERSION, 0)])
    await warm_up.take(frozenset({(VERSION, 2)}), lambda key: key == (VERSION, 0))
    assert library.runs == [0, 2]
    assert warm_up.cold == {(VERSION, 2)}
    assert library.released == []
    await warm_up.take(frozenset({(VERSION, 2)}), lambda _: False)
    assert library.released == [(VERSION, 0)]
    await warm_up.take(frozenset(), lambda _: False)
    assert warm_up.cold == set()
    assert library.released == [(VERSION, 0), (VERSION, 2)]


async def test_a_seat_that_is_taken_back_is_not_freed() -> None:
    library = FailingLibrary({})
    warm_up = WarmUp(library)
    await warm_up.begin([(VERSION, 0)])
    await warm_up.take(frozenset(), lambda _: True)
    await warm_up.take(frozenset({(VERSION, 0)}), lambda _: False)
    assert library.released == []


async def test_seats_are_followed_through_outages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "SEATS_SECONDS", 0.0)
    outages, seats = [Unavailable("away")], [[(VERSION, 1)]]
    seen = asyncio.Event()

    async def read() -> list[tuple[VersionId, int]]:
        if outages:
            raise outages.pop()
        if not seats:
            seen.set()
            await asyncio.sleep(60)
        return seats.pop()

    library = FailingLibrary({})
    following = asyncio.create_task(WarmUp(library).follow(read, lambda _: False))
    async with asyncio.timeout(60):
        await seen.wait()
    following.cancel()
    assert library.runs == [1]
