# pragma version ~=0.4.3
"""
@title Draw
@license AGPL-3.0-only
@notice Who answers a query: a draw without replacement that anybody can compute from a block
        hash; the same as `nesa.protocol.draw`.
"""

DRAW_DOMAIN: constant(bytes32) = keccak256("nesa.draw.v1")
PROTOCOL_VERSION: constant(uint256) = 1

# Slots that one draw looks at before it gives up; bounds the gas of a report.
MAX_DRAW: constant(uint256) = 64


@internal
@view
def query_seed(
    market: address, query_id: uint256, attempt: uint256, block_hash: bytes32
) -> bytes32:
    """
    @notice Seed of all draws of one attempt.
    @param market The market's address.
    @param query_id The query.
    @param attempt Its attempt.
    @param block_hash Hash of the block after the request.
    @return The seed.
    """
    return keccak256(
        abi_encode(
            DRAW_DOMAIN, PROTOCOL_VERSION, chain.id, market, query_id, attempt, block_hash
        )
    )


@internal
@pure
def slot_order(
    seed: bytes32, shard: uint256, slots: uint256, count: uint256
) -> DynArray[uint256, 64]:
    """
    @notice The first slots in draw order: a Fisher-Yates shuffle that only remembers its moves.
    @dev A longer order starts with every shorter one. Costs grow with the square of `count`,
         so ask for few first.
    @param seed The query's seed.
    @param shard The shard's index.
    @param slots How many slots the draw runs over.
    @param count How many to return; no more than `slots` and 64 come back.
    @return Slot indices.
    """
    order: DynArray[uint256, 64] = []
    picked: uint256[MAX_DRAW] = empty(uint256[MAX_DRAW])  # where step j took its slot from
    moved: uint256[MAX_DRAW] = empty(uint256[MAX_DRAW])  # and what it put there instead
    for step: uint256 in range(min(min(count, slots), MAX_DRAW), bound=64):
        entropy: uint256 = convert(
            keccak256(concat(seed, convert(shard, bytes32), convert(step, bytes32))), uint256
        )
        pick: uint256 = step + entropy % (slots - step)
        taken: uint256 = pick
        left: uint256 = step
        for j: uint256 in range(step, bound=64):  # later moves win
            if picked[j] == pick:
                taken = moved[j]
            if picked[j] == step:
                left = moved[j]
        order.append(taken)
        picked[step] = pick
        moved[step] = left
    return order
