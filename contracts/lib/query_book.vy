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
REST_MASK: constant(uint256) = 2**248 - 1

# A query's holds are the slots that were set aside (8 bits a shard, lowest) | the shards that are
# held (8 bits) | since when.
SLOT_BITS: constant(uint256) = 8
SLOT_MASK: constant(uint256) = 2**8 - 1
HELD_SHIFT: constant(uint256) = 64
HELD_MASK: constant(uint256) = (2**8 - 1) << HELD_SHIFT
HELD_SINCE_SHIFT: constant(uint256) = 72

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
    return self._closes_at(query_id)


@external
@view
def verify_terms(query: IQueryMarket.Query) -> bool:
    """
    @notice Whether these are the terms of a query without an answer, open or refunded.
    """
    word: uint256 = self._queries[query.query_id]
    return self._holds_content(word, query_terms.terms_hash(query))


@external
@view
def verify_outcome(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> bool:
    """
    @notice Whether this is the outcome that the market keeps for this query.
    """
    word: uint256 = self._queries[query.query_id]
    return self._holds_content(word, self._content(query, outcome))


@external
@view
def seed_of(seed_block: uint256) -> bytes32:
    """
    @notice Hash of a block, recent or pinned.
    """
    return self._seed(seed_block)


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
def _turn(query_id: uint256, status: IQueryMarket.QueryStatus):
    # The rest of the word stays: what a query was answered with can be shown for good.
    word: uint256 = self._queries[query_id]
    head: uint256 = convert(status, uint256) << STATUS_SHIFT
    self._queries[query_id] = head | (word & REST_MASK)


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


@internal
@view
def _closes_at(query_id: uint256) -> uint256:
    return (self._queries[query_id] >> CLOSES_SHIFT) & CLOSES_MASK


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
def _settled(query_id: uint256, content: bytes32) -> uint256:
    # When the windows of an answered query close, once its outcome is found in order.
    word: uint256 = self._queries[query_id]
    fulfilled: uint256 = convert(IQueryMarket.QueryStatus.FULFILLED, uint256)
    assert word >> STATUS_SHIFT == fulfilled, "market: not settled"
    self._check_content(word, content)
    assert self._holds[query_id] == 0, "market: held"
    return (word >> CLOSES_SHIFT) & CLOSES_MASK


@internal
@view
def _content(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome) -> bytes32:
    # Hash of an outcome, zero when it is not one of this query.
    if outcome.terms_hash != query_terms.terms_hash(query):
        return empty(bytes32)
    return query_terms.outcome_hash(outcome)


@internal
@pure
def _check_content(word: uint256, content: bytes32):
    assert self._holds_content(word, content), "market: other outcome"


@internal
@pure
def _holds_content(word: uint256, content: bytes32) -> bool:
    # Nothing is the content of a query that was never asked, whose word is zero.
    found: bool = content != empty(bytes32)
    return found and word & HASH_MASK == convert(content, uint256) & HASH_MASK


# === Held queries ===


@internal
def _hold(query_id: uint256, content: bytes32, shard: uint256, slots: uint256):
    # The first hold stops the clock. `slots` has a bit for each slot that was set aside.
    holds: uint256 = self._holds[query_id]
    assert self._is_disputable(query_id, holds), "market: not to be held"
    self._check_content(self._queries[query_id], content)
    assert holds & self._hold_bit(shard) == 0, "market: held already"

    if holds == 0:
        holds = block.timestamp << HELD_SINCE_SHIFT
    self._holds[query_id] = holds | self._hold_bit(shard) | (slots << (SLOT_BITS * shard))


@internal
@view
def _is_disputable(query_id: uint256, holds: uint256) -> bool:
    # Who signed another shard answers for it after the query is overturned as well.
    status: uint256 = self._queries[query_id] >> STATUS_SHIFT
    answered: uint256 = convert(IQueryMarket.QueryStatus.FULFILLED, uint256)
    overturned: uint256 = convert(IQueryMarket.QueryStatus.OVERTURNED, uint256)
    is_open: bool = holds & HELD_MASK != 0 or block.timestamp <= self._closes_at(query_id)
    return status in [answered, overturned] and is_open


@internal
def _end_hold(query_id: uint256, content: bytes32, shard: uint256) -> uint256:
    # With the last hold the clock goes on. Returns a bit for each slot that was set aside.
    word: uint256 = self._queries[query_id]
    self._check_content(word, content)
    holds: uint256 = self._holds[query_id]
    assert holds & self._hold_bit(shard) != 0, "market: not held"

    slots: uint256 = (holds >> (SLOT_BITS * shard)) & SLOT_MASK
    left: uint256 = holds - self._hold_bit(shard) - (slots << (SLOT_BITS * shard))
    if left & HELD_MASK == 0:
        left = 0
        seconds: uint256 = block.timestamp - (holds >> HELD_SINCE_SHIFT)
        self._queries[query_id] = word + (seconds << CLOSES_SHIFT)
    self._holds[query_id] = left
    return slots


@internal
@pure
def _hold_bit(shard: uint256) -> uint256:
    # Zero beyond the last shard that a query can have.
    return (1 << (HELD_SHIFT + shard)) & HELD_MASK
