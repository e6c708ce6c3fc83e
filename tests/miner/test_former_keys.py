"""A miner with a new encryption key: what was sealed or stored under the old one still opens."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from nesa.privacy.keys import generate_key
from nesa.privacy.sealing import open_answer
from nesa.protocol.errors import IntegrityError, InvalidMessage
from nesa.protocol.ids import VersionId
from nesa_miner.at_rest import AtRest
from nesa_miner.identity import Identity
from nesa_miner.jobs import JobKey, WorkKey
from nesa_miner.journal import Journal
from nesa_miner.shard_keys import KeptShardKeys
from tests.miner.committee_network import (
    VERSION,
    CommitteeNetwork,
    content_key_for,
    sealed_request,
)
from tests.miner.test_engine import right_answer

CONTENT_KEY = bytes(range(32))
OLD, NEW = generate_key(), generate_key()
KEY = JobKey((1, 0))
WORK = WorkKey(KEY, b"seed", b"digest")


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()


def rotate(network: CommitteeNetwork, number: int, *, keep: bool = True) -> None:
    """Restart a miner with a new key; the chain names the old one for the query under way."""
    miner = network.miners[number]
    network.kill(number)
    former = [miner.identity.encryption] if keep else []
    miner.identity = Identity(miner.identity.signer, generate_key(), former)
    network.start(number)


async def test_a_sealed_query_is_answered_across_a_rotation(network: CommitteeNetwork) -> None:
    """Half of the members restart before its key comes, and half of them after."""
    request = sealed_request(network.model, 7, CONTENT_KEY)
    network.tell(request)
    for number, miner in enumerate(network.miners):
        if number % 2:
            rotate(network, number)
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))
        if not number % 2:
            rotate(network, number)
    network.tell(request)
    for evidence in await network.settle(1, 4):
        answer = open_answer(CONTENT_KEY, VERSION, request.query.input_digest, evidence.payload)
        assert answer == right_answer(network, 7)


async def test_a_key_that_was_forgotten_opens_nothing(network: CommitteeNetwork) -> None:
    network.tell(sealed_request(network.model, 7, CONTENT_KEY))
    rotate(network, 0, keep=False)
    network.tell(sealed_request(network.model, 7, CONTENT_KEY))
    miner = network.miners[0]
    with pytest.raises(InvalidMessage, match="not wrapped for this member and query"):
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))


def test_what_a_journal_holds_outlives_the_key_that_it_was_stored_under(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    old = Journal(path, b"identity", AtRest(OLD))
    old.add_record(WORK, b"record")
    old.keep_handoff(KEY, b"seed", 3, b"handoff")
    old.keep_boundary(WORK, b"boundary")
    old.keep_content_key(KEY, b"input", b"wrapped")
    old.close()
    both = Journal(path, b"identity", AtRest(NEW, former=[OLD]))
    assert both.records(WORK) == [b"record"]
    both.keep_under_newest()
    both.close()
    new = Journal(path, b"identity", AtRest(NEW))
    assert new.records(WORK) == [b"record"]
    assert new.handoffs(KEY, b"seed") == [(3, b"handoff")]
    assert new.boundary(WORK) == b"boundary"
    assert new.content_key(KEY, b"input") == b"wrapped"
    new.close()
    gone = Journal(path, b"identity", AtRest(OLD))
    with pytest.raises(IntegrityError, match="another key"):
        gone.records(WORK)
    gone.close()


def test_what_no_key_opens_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    strange = Journal(path, b"identity", AtRest(generate_key()))
    strange.add_record(WORK, b"record")
    strange.close()
    both = Journal(path, b"identity", AtRest(NEW, former=[OLD]))
    both.keep_under_newest()
    with pytest.raises(IntegrityError, match="another key, or changed"):
        both.records(WORK)
    both.close()


def test_keys_of_shards_outlive_the_key_that_they_were_stored_under(tmp_path: Path) -> None:
    version, shard_key = VersionId(bytes(range(32))), os.urandom(32)
    KeptShardKeys(tmp_path, OLD).write(version, 3, shard_key)
    (tmp_path / "notes.key").write_bytes(b"somebody's notes")
    KeptShardKeys(tmp_path, NEW, [OLD]).keep_under_newest()
    assert KeptShardKeys(tmp_path, NEW).read(version, 3) == shard_key
    with pytest.raises(IntegrityError, match="another key"):
        KeptShardKeys(tmp_path, OLD).read(version, 3)
    assert (tmp_path / "notes.key").read_bytes() == b"somebody's notes"
    assert not list(tmp_path.glob("*.part"))
