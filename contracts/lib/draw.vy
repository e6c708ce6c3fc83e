# pragma version ~=0.4.3
"""
@title Draw
@license AGPL-3.0-only
@notice Who answers a query: a draw without replacement that anybody can compute from a block
        hash; the same as `nesa.protocol.draw`.
"""

DRAW_DOMAIN: constant(bytes32) = keccak256("nesa.draw.v1")
PROTOCOL_VERSION: constant(uint256) = 1

# Slots of a list, see `seat_lists.vy`: a draw can look at all of them.
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
def slots_in_order(slots: uint256) -> DynArray[uint256, MAX_DRAW]:
    """
    @notice A list's slots before a draw.
    @param slots How many, at most 64.
    @return 0, 1, 2, ...
    """
    order: DynArray[uint256, MAX_DRAW] = []
    for slot: uint256 in range(slots, bound=MAX_DRAW):
        order.append(slot)
    return order


@internal
@pure
def shuffled(
    seed: bytes32,
    shard: uint256,
    order: DynArray[uint256, MAX_DRAW],
    done: uint256,
    upto: uint256,
) -> DynArray[uint256, MAX_DRAW]:
    """
    @notice Further steps of a Fisher-Yates shuffle.
    @param seed The query's seed.
    @param shard The shard's index.
    @param order `slots_in_order`, or what an earlier call for this draw returned.
    @param done Steps that were taken already.
    @param upto Steps that are taken afterwards, at most as many as there are slots.
    @return The slots, the first `upto` of them in draw order.
    """
    mixed: DynArray[uint256, MAX_DRAW] = order
    for step: uint256 in range(done, upto, bound=MAX_DRAW):
        entropy: uint256 = convert(
            keccak256(concat(seed, convert(shard, bytes32), convert(step, bytes32))), uint256
        )
        pick: uint256 = step + entropy % (len(order) - step)
        taken: uint256 = mixed[pick]
        mixed[pick] = mixed[step]
        mixed[step] = taken
    return mixed
