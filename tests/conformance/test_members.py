"""The committee contract draws the members that the protocol draws, inactive seats included."""

from dataclasses import replace

import boa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.draw import draw, query_seed
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.queries import ORACLE_SHARD
from tests.conformance.strategies import QUERIES, WORDS
from tests.deployment import deployer, load_harness

EPOCH = 100


@pytest.fixture(scope="module")
def seats():
    return load_harness("SeatBook")


@pytest.fixture(scope="module")
def committee(seats):
    nobody = boa.env.generate_address("nobody")
    return deployer("market/Committee").deploy(seats, nobody, nobody)


@settings(max_examples=12, deadline=None)
@given(
    query=QUERIES,
    seed=WORDS,
    shard=st.sampled_from([0, 3, ORACLE_SHARD]),
    active=st.lists(st.booleans(), max_size=64) | st.just([False] * 63 + [True]),
    wanted=st.integers(0, 9),
)
def test_members_agree(committee, seats, query, seed, shard, active, wanted):
    slots = len(active)
    mask = ((1 << 24) - 1) << 24 * shard
    counts = query.seat_counts & ~mask | slots << 24 * shard
    asked = replace(query, epoch=EPOCH, seat_counts=counts, attempt=1)
    version_id = ZERO_DIGEST if shard == ORACLE_SHARD else asked.version_id
    with boa.env.anchor():
        bitmap = sum(1 << slot for slot, is_active in enumerate(active) if is_active)
        seats.seat(version_id, shard, EPOCH, bitmap)
        market = boa.env.generate_address("market")
        found = committee.members(market, asked.as_abi(), seed, shard, wanted)

    chain_id = int(boa.env.evm.patch.chain_id)
    draw_seed = query_seed(chain_id, market, asked.query_id, asked.attempt, seed)
    expected = draw(draw_seed, shard, slots, min(wanted, 8), active.__getitem__)
    assert [int(seat.operator, 16) - 1 for seat in found] == list(expected)
