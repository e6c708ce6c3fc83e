# pragma version ~=0.4.3
"""
@title Query Book
@license AGPL-3.0-only
@notice Where every query stands: one word each, the disputes that hold it, and block hashes that
        were pinned for it.
"""
from ..interfaces import IQueryMarket

from . import query_terms

# A query's word is status (8 bits, highest) | closes_at (40) | the low 208 bits of the hash of its
# terms, or of its outcome once it is answered. 208 bits leave 2**104 steps for a collision and
# 2**208 for the second preimage that changed terms would need.
CLOSES_SHIFT: constant(uint256) = 208
STATUS_SHIFT: constant(uint256) = 248
HASH_MASK: constant(uint256) = 2**208 - 1
CLOSES_MASK: constant(uint256) = 2**40 - 1

# A query's holds are their number (64 bits, lowest) | since when.
HELD_SINCE_SHIFT: constant(uint256) = 64
HOLD_COUNT_MASK: constant(uint256) = 2**64 - 1

# Blocks whose hash the chain remembers.
HASH_BLOCKS: constant(uint256) = 256

# One word a query, see above.
_queries: HashMap[uint256, uint256]
# Block hashes kept beyond what the chain remembers.
pinned_seed: public(HashMap[uint256, bytes32])
# Open disputes of an answered query, see above.
_holds: HashMap[uint256, uint256]


# === Views ===


@external
@view
def status_of(query_id: uint256) -> IQueryMarket.QueryStatus:
    """
    @notice Where a query stands now.
    """
    return self._status_of(query_id)


@external
@view
def closes_at(query_id: uint256) -> uint256:
    """
    @notice Until when slots can be claimed and the answer disputed.
    """
    return (self._queries[query_id] >> CLOSES_SHIFT) & CLOSES_MASK


@external
@view
def verify_terms(query: IQueryMarket.Query) -> bool:
    """
    @notice Whether these are the terms of an open query.
    """
    word: uint256 = self._word(IQueryMarket.QueryStatus.OPEN, 0, query_terms.terms_hash(query))
    return self._queries[query.query_id] == word


@external
@view
def verify_outcome(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> bool:
    """
    @notice Whether this is the outcome that the market keeps for this query.
    """
    return self._is_outcome(self._queries[query.query_id], query, outcome)


# === Words ===


@internal
def _store(
    query_id: uint256,
    status: IQueryMarket.QueryStatus,
    closing: uint256,
    content: bytes32,
):
    self._queries[query_id] = self._word(status, closing, content)


@internal
@pure
def _word(status: IQueryMarket.QueryStatus, closing: uint256, content: bytes32) -> uint256:
    head: uint256 = (convert(status, uint256) << STATUS_SHIFT) | (closing << CLOSES_SHIFT)
    return head | (convert(content, uint256) & HASH_MASK)


@internal
@view
def _status_of(query_id: uint256) -> IQueryMarket.QueryStatus:
    word: uint256 = self._queries[query_id]
    status: IQueryMarket.QueryStatus = convert(word >> STATUS_SHIFT, IQueryMarket.QueryStatus)
    if status != IQueryMarket.QueryStatus.FULFILLED or self._holds[query_id] != 0:
        return status
    if block.timestamp > (word >> CLOSES_SHIFT) & CLOSES_MASK:
        return IQueryMarket.QueryStatus.FINAL
    return status


# === Open queries ===


@internal
@view
def _open_terms(query: IQueryMarket.Query) -> bytes32:
    word: uint256 = self._queries[query.query_id]
    open: uint256 = convert(IQueryMarket.QueryStatus.OPEN, uint256)
    assert word >> STATUS_SHIFT == open, "market: not open"
    terms_hash: bytes32 = query_terms.terms_hash(query)
    assert word & HASH_MASK == convert(terms_hash, uint256) & HASH_MASK, "market: other terms"
    return terms_hash


@internal
@view
def _seed(seed_block: uint256) -> bytes32:
    assert block.number > seed_block, "market: no seed yet"
    if block.number - seed_block <= HASH_BLOCKS:
        return blockhash(seed_block)
    seed: bytes32 = self.pinned_seed[seed_block]
    assert seed != empty(bytes32), "market: seed is gone"
    return seed


@internal
@view
def _is_seed_gone(seed_block: uint256) -> bool:
    forgotten: bool = block.number > seed_block + HASH_BLOCKS
    return forgotten and self.pinned_seed[seed_block] == empty(bytes32)


@internal
def _pin_seed(seed_block: uint256) -> bytes32:
    assert seed_block < block.number, "market: no such block yet"
    assert block.number - seed_block <= HASH_BLOCKS, "market: block is forgotten"
    seed: bytes32 = blockhash(seed_block)
    self.pinned_seed[seed_block] = seed
    return seed


# === Answered queries ===


@internal
@view
def _settled(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> uint256:
    # When the windows of an answered query close, once its outcome is found in order.
    word: uint256 = self._queries[query.query_id]
    fulfilled: uint256 = convert(IQueryMarket.QueryStatus.FULFILLED, uint256)
    assert word >> STATUS_SHIFT == fulfilled, "market: not settled"
    assert self._is_outcome(word, query, outcome), "market: other outcome"
    assert self._holds[query.query_id] == 0, "market: held"
    return (word >> CLOSES_SHIFT) & CLOSES_MASK


@internal
@view
def _is_outcome(
    word: uint256, query: IQueryMarket.Query, outcome: IQueryMarket.Outcome
) -> bool:
    if outcome.terms_hash != query_terms.terms_hash(query):
        return False
    return word & HASH_MASK == convert(query_terms.outcome_hash(outcome), uint256) & HASH_MASK


@internal
def _hold(query_id: uint256):
    # The first hold stops the clock.
    status: IQueryMarket.QueryStatus = self._status_of(query_id)
    assert status == IQueryMarket.QueryStatus.FULFILLED, "market: not to be held"
    holds: uint256 = self._holds[query_id]
    if holds == 0:
        holds = block.timestamp << HELD_SINCE_SHIFT
    self._holds[query_id] = holds + 1


@internal
def _release(query_id: uint256):
    # With the last hold the clock goes on.
    holds: uint256 = self._holds[query_id]
    assert holds != 0, "market: not held"
    if holds & HOLD_COUNT_MASK > 1:
        self._holds[query_id] = holds - 1
    else:
        self._holds[query_id] = 0
        held: uint256 = block.timestamp - (holds >> HELD_SINCE_SHIFT)
        self._queries[query_id] += held << CLOSES_SHIFT
