# pragma version ~=0.4.3
"""
@title Draw Harness
@license AGPL-3.0-only
@notice Opens the draw module to tests.
"""
from contracts.lib import draw


@external
@view
def query_seed(
    market: address, query_id: uint256, attempt: uint256, block_hash: bytes32
) -> bytes32:
    return draw.query_seed(market, query_id, attempt, block_hash)


@external
@pure
def slot_order(
    seed: bytes32, shard: uint256, slots: uint256, count: uint256
) -> DynArray[uint256, 64]:
    return draw.slot_order(seed, shard, slots, count)
