"""A retired version's queries under way are answered; then its shards are freed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio
from eth_utils.crypto import keccak

from nesa.chain.events import VersionRetired
from nesa.models.reference import run
from nesa.protocol.ids import Digest, QueryId, VersionId
from nesa_miner.jobs import JobKey
from tests.miner.committee_network import (
    VERSION,
    CommitteeNetwork,
    fulfilled,
    log_key,
    open_request,
)

RETIRED = VersionRetired(log_key("retired"), VERSION)
OTHER = VersionId(Digest(keccak(text="another version")))


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()
    assert made.failures == []


def released(network: CommitteeNetwork) -> list[list[VersionId]]:
    return [miner.library.released for miner in network.miners]


def advance(network: CommitteeNetwork) -> None:
    for miner in network.miners:
        assert miner.engine is not None
        miner.engine.advance()


async def test_a_query_under_way_is_answered_first(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1), RETIRED)
    answers = {evidence.payload for evidence in await network.settle(1, 4)}
    edge = network.model.input_edge
    data = edge.encode(network.model.test_rows().inputs[1].reshape(edge.shape))
    assert answers == {run(network.model.table, (data,))[0]}
    assert released(network) == [[]] * 8
    network.tell(fulfilled(), head=9)
    assert released(network) == [[VERSION]] * 8
    network.tell(head=10)
    assert released(network) == [[VERSION]] * 8


async def test_an_idle_version_is_freed_at_once(network: CommitteeNetwork) -> None:
    network.tell(RETIRED)
    assert released(network) == [[VERSION]] * 8


async def test_other_versions_go_on(network: CommitteeNetwork) -> None:
    """Two versions side by side; one is retired while both have a query."""
    first = open_request(network.model, 1)
    query = replace(first.query, query_id=QueryId(2), version_id=OTHER)
    second = replace(
        first, log=log_key("second"), query_id=QueryId(2), version_id=OTHER, query=query
    )
    network.tell(first, second, VersionRetired(log_key("retired"), OTHER))
    await network.settle(1, 4)
    for miner in network.miners[4:]:
        assert miner.engine is not None
        assert miner.engine.duties[JobKey((2, 0))].place is not None
    network.tell(fulfilled(), head=9)
    assert released(network) == [[]] * 8
    ended = replace(fulfilled(), log=log_key("second fulfilled"), query_id=QueryId(2))
    network.tell(ended, head=10)
    assert released(network) == [[OTHER]] * 8


async def test_a_new_attempt_after_the_release_loads_the_shard_again(
    network: CommitteeNetwork,
) -> None:
    network.tell(RETIRED)
    network.tell(open_request(network.model, 1), head=9)
    await network.settle(1, 4)
