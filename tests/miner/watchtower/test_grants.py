"""Grants are taken from a folder, whenever they come and whatever else lies there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from eth_keys.datatypes import PrivateKey

from nesa.models.folder import load
from nesa.privacy.grants import Granted, encode_grant, grant_view
from nesa.privacy.keys import generate_key, public_bytes
from nesa.protocol.ids import QueryId
from nesa_miner.watchtower.grants import GrantFolder
from tests.miner.committee_network import DEPLOYMENT, MODEL, REQUESTER, sealed_request

CONTENT_KEY = bytes(range(32))
QUERY = sealed_request(load(MODEL), 3, CONTENT_KEY).query
TOWER = generate_key()
GRANTED = Granted(DEPLOYMENT.chain_id, DEPLOYMENT.market, QUERY.query_id)


def grant(content_key: bytes = CONTENT_KEY, client: PrivateKey = REQUESTER, **changes) -> str:
    made = grant_view(content_key, replace(GRANTED, **changes), public_bytes(TOWER), client)
    return encode_grant(made)


@pytest.fixture
def grants(tmp_path: Path) -> GrantFolder:
    return GrantFolder(tmp_path / "grants", TOWER, DEPLOYMENT.chain_id, DEPLOYMENT.market)


def put(grants: GrantFolder, name: str, text: str) -> None:
    grants.folder.mkdir(exist_ok=True)
    (grants.folder / name).write_text(text)


def test_a_grant_may_come_late(grants: GrantFolder):
    assert grants.content_key(QUERY) is None
    put(grants, "7.json", grant())
    assert grants.content_key(QUERY) == CONTENT_KEY
    assert grants.content_key(replace(QUERY, query_id=QueryId(99))) is None


def test_what_is_no_grant_is_left_where_it_is(grants: GrantFolder):
    put(grants, "a.json", "garbage")
    put(grants, "b.json", "x" * 10_000_000)
    (grants.folder / "c.json").mkdir()
    put(grants, "d.json", grant())
    assert grants.content_key(QUERY) == CONTENT_KEY
    assert (grants.folder / "a.json").exists()


def test_a_members_grant_counts_for_nothing_and_hides_no_other(grants: GrantFolder):
    """A member leaks the key, or a wrong one, under its own signature."""
    put(grants, "a.json", grant(bytes(32), PrivateKey(b"\7" * 32)))
    assert grants.content_key(QUERY) is None
    put(grants, "b.json", grant())
    assert grants.content_key(QUERY) == CONTENT_KEY


def test_a_grant_of_another_chain_is_none_here(grants: GrantFolder):
    put(grants, "a.json", grant(chain_id=1))
    assert grants.content_key(QUERY) is None
