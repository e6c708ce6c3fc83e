"""The contracts hash terms and outcomes and split fees as the protocol does."""

import boa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.fees import split_fee
from nesa.protocol.outcomes import outcome_as_abi, outcome_from_abi, outcome_hash
from nesa.protocol.queries import terms_hash
from tests.conformance.strategies import OUTCOMES, QUERIES
from tests.deployment import load_harness

SETTINGS = settings(max_examples=12, deadline=None)


@pytest.fixture(scope="module")
def harness():
    return load_harness("ProtocolHarness")


@SETTINGS
@given(query=QUERIES)
def test_terms_hashes_agree(harness, query):
    chain_id = int(boa.env.evm.patch.chain_id)
    assert harness.terms_hash(query.as_abi()) == terms_hash(chain_id, harness.address, query)


@SETTINGS
@given(outcome=OUTCOMES)
def test_outcome_hashes_agree(harness, outcome):
    assert harness.outcome_hash(outcome_as_abi(outcome)) == outcome_hash(outcome)
    assert outcome_from_abi(outcome_as_abi(outcome)) == outcome


@SETTINGS
@given(query=QUERIES)
def test_fee_splits_agree_and_add_up(harness, query):
    expected = split_fee(query)
    split = harness.split_fee(query.as_abi())
    assert tuple(split) == (
        expected.slot,
        expected.oracle,
        expected.delivery,
        expected.royalty,
        expected.reviewers,
        expected.treasury,
    )
    slots = query.shards * query.replicas
    assert split[0] * slots + sum(split[1:]) == query.fee


@SETTINGS
@given(query=QUERIES, shard=st.integers(0, 8))
def test_seat_counts_agree(harness, query, shard):
    assert harness.seat_count(query.seat_counts, shard) == query.seat_count(shard)
