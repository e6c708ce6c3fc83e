"""One shard that cannot be used keeps no other from being used, and is tried again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from nesa.models.folder import load
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

    async def runner(self, _: VersionId, shard: int) -> tuple[Any, Any]:
        self.runs.append(shard)
        if self.failures.get(shard):
            raise self.failures[shard].pop(0)
        return (replace(FACTS, circuit_digest=ZERO_DIGEST) if shard == 2 else FACTS), None

    async def prover(self, _: VersionId, shard: int) -> Any:
        self.proves.append(shard)

    def release(self, _: VersionId) -> None:
        raise AssertionError("nothing is retired here")


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
    await warm_up.go_on()
    assert warm_up.cold == set()
    assert library.runs == [0, 1, 1, 1, 1]
