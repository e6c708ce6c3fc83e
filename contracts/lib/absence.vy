# pragma version ~=0.4.3
"""
@title Absence
@license AGPL-3.0-only
@notice Which slots of a shard's committee a spare may fill, and since when, in one word; the same
        as `nesa.protocol.summons`. The i-th entry is that of the i-th spare in draw order:
        slot + 1 (4 bits, lowest) | when its member was found absent (32 bits).
"""

ENTRY_BITS: constant(uint256) = 36
SLOT_BITS: constant(uint256) = 4
SLOT_MASK: constant(uint256) = 2**4 - 1
TIME_MASK: constant(uint256) = 2**32 - 1

# As many entries as a word holds; a committee has one member at least and eight places.
MAX_ENTRIES: constant(uint256) = 7

ABSENCE_DOMAIN: constant(bytes32) = keccak256("nesa.absence.v1")


@internal
@pure
def work_id(market: address, query_id: uint256, attempt: uint256, shard: uint256) -> bytes32:
    """
    @notice Under what the absences of one committee are kept.
    @param market The query's market.
    @param query_id The query.
    @param attempt Its attempt.
    @param shard The shard's index.
    @return The key.
    """
    return keccak256(abi_encode(ABSENCE_DOMAIN, market, query_id, attempt, shard))


@internal
@pure
def count(word: uint256) -> uint256:
    """
    @notice How many spares have a slot.
    @param word The absences of a committee.
    @return Their number.
    """
    entries: uint256 = 0
    for i: uint256 in range(MAX_ENTRIES):
        if (word >> (ENTRY_BITS * i)) & SLOT_MASK == 0:
            break
        entries += 1
    return entries


@internal
@pure
def slot(word: uint256, spare: uint256) -> uint256:
    """
    @notice Which slot a spare fills; reverts when it has none.
    @param word The absences of a committee.
    @param spare The spare, 0 for the first one behind the members.
    @return The slot.
    """
    assert spare < MAX_ENTRIES, "absence: no such spare"
    entry: uint256 = (word >> (ENTRY_BITS * spare)) & SLOT_MASK
    assert entry != 0, "absence: nobody is absent"
    return entry - 1


@internal
@pure
def since(word: uint256, spare: uint256) -> uint256:
    """
    @notice When a spare got its slot.
    @param word The absences of a committee.
    @param spare A spare that has one.
    @return Seconds of the chain.
    """
    return (word >> (ENTRY_BITS * spare + SLOT_BITS)) & TIME_MASK


@internal
@pure
def with_entry(word: uint256, absent: uint256, found_at: uint256) -> uint256:
    """
    @notice The absences with one more.
    @param word The absences of a committee, fewer than `MAX_ENTRIES`.
    @param absent The slot that the next spare may fill.
    @param found_at Seconds of the chain.
    @return The word.
    """
    entries: uint256 = self.count(word)
    assert entries < MAX_ENTRIES, "absence: no more spares"
    entry: uint256 = (absent + 1) | (found_at << SLOT_BITS)
    return word | (entry << (ENTRY_BITS * entries))
