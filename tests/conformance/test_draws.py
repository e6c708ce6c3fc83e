"""The contracts draw the slots that the protocol draws."""

import boa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nesa.protocol.draw import MAX_DRAW, query_seed, slot_order
from tests.deployment import load_harness

WORDS = st.binary(min_size=32, max_size=32)


@pytest.fixture(scope="module")
def harness():
    return load_harness("DrawHarness")


@settings(max_examples=40, deadline=None)
@given(
    seed=WORDS,
    shard=st.integers(0, 8),
    slots=st.integers(0, 12) | st.integers(60, MAX_DRAW),
    wanted=st.integers(0, 20),
)
@example(bytes(32), 8, 64, 64)
@example(bytes(32), 0, 1, 1)
def test_orders_agree(harness, seed, shard, slots, wanted):
    count = min(slots, wanted)
    order = list(slot_order(seed, shard, slots))[:count]
    assert harness.slot_order(seed, shard, slots, count) == order
    assert len(order) == count
    assert len(set(order)) == len(order)


def test_a_longer_list_than_a_draw_looks_at_reverts(harness):
    """Lists hold no more slots than that, so that no seat is out of a draw's reach."""
    with boa.reverts():
        harness.slot_order(bytes(32), 0, MAX_DRAW + 1, 1)


@settings(max_examples=20, deadline=None)
@given(query_id=st.integers(0, 2**256 - 1), attempt=st.integers(0, 2**32), block_hash=WORDS)
def test_seeds_agree(harness, query_id, attempt, block_hash):
    market = boa.env.generate_address("market")
    chain_id = boa.env.evm.patch.chain_id
    expected = query_seed(chain_id, market, query_id, attempt, block_hash)
    assert harness.query_seed(market, query_id, attempt, block_hash) == expected
