"""Real shards are run again, and the first that comes out otherwise is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nesa.chain.history import QueryHistory
from nesa.models.folder import load
from nesa.protocol.digests import boundary_digest
from nesa.protocol.ids import ZERO_DIGEST, Digest, Timestamp, VersionId
from nesa.protocol.queries import Outcome, Privacy, ShardOutcome
from nesa_miner.watchtower.cases import Right, Unseen, Wrong
from nesa_miner.watchtower.inspecting import inspect
from tests.miner.committee_network import DEPLOYMENT, MODEL, MemoryLibrary, open_request

LIBRARY = MemoryLibrary(load(MODEL))
REQUEST = open_request(LIBRARY.model, 3)
HISTORY = QueryHistory(REQUEST, REQUEST.query)


async def true_digests() -> list[Digest]:
    tensors: tuple[bytes, ...] = (REQUEST.input,)
    found = []
    for shard, facts in enumerate(LIBRARY.model.shards):
        _, runner = await LIBRARY.runner(VersionId(b""), shard)
        tensors = runner.run(tensors)
        found.append(boundary_digest(facts.output_edges, tensors))
    return found


def outcome(digests: Sequence[Digest]) -> Outcome:
    shards = tuple(ShardOutcome(0, one, ZERO_DIGEST, ZERO_DIGEST, 15) for one in digests)
    head = (ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, DEPLOYMENT.market, Timestamp(0))
    return Outcome(*head, shards)


async def test_an_honest_answer_is_right() -> None:
    assert await inspect(HISTORY, outcome(await true_digests()), LIBRARY) == Right()


@pytest.mark.parametrize("wrong", [0, 1])
async def test_the_first_wrong_shard_is_named_and_no_later_one(wrong: int) -> None:
    digests = await true_digests()
    lies = [*digests[:wrong], *(Digest(b"\1" * 32) for _ in digests[wrong:])]
    assert await inspect(HISTORY, outcome(lies), LIBRARY) == Wrong(wrong)


async def test_what_is_sealed_or_not_there_is_left_alone() -> None:
    digests = outcome(await true_digests())
    sealed = replace(HISTORY, query=replace(REQUEST.query, privacy=Privacy.SEALED))
    assert await inspect(sealed, digests, LIBRARY) == Unseen("its privacy is SEALED")
    bare = replace(HISTORY, requested=replace(REQUEST, input=b""))
    said = await inspect(bare, digests, LIBRARY)
    assert isinstance(said, Unseen)
    assert "not on the chain" in said.why


async def test_a_machine_that_errs_accuses_nobody() -> None:
    """Its own shards come out otherwise, and the definition of the table tells it so."""
    broken = MemoryLibrary(LIBRARY.model, tampers=True)
    assert await inspect(HISTORY, outcome(await true_digests()), broken) == Right()
