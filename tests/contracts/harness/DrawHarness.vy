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
    # In two calls, as the committee continues a draw.
    half: uint256 = count // 2
    order: DynArray[uint256, 64] = draw.slots_in_order(slots)
    order = draw.shuffled(seed, shard, order, 0, half)
    order = draw.shuffled(seed, shard, order, half, count)
    drawn: DynArray[uint256, 64] = []
    for i: uint256 in range(count, bound=64):
        drawn.append(order[i])
    return drawn
