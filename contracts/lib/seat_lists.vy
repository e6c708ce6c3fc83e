# pragma version ~=0.4.3
"""
@title Seat Lists
@license AGPL-3.0-only
@notice Who sits where: a list of slots for each shard of a version, and how many of them are taken
        and active.
"""
from ..interfaces import IStakeVault

from . import epoch_clock
from . import tenure

uses: epoch_clock

# A slot of a seat list, all zero when it is vacant. Reports read the first word only.
struct Slot:
    tenure: uint256  # see `lib/tenure.vy`
    locked: uint256  # NES units

ORACLE_SHARD: constant(uint256) = 8
MAX_SHARDS: constant(uint256) = 8
MASK_16: constant(uint256) = 2**16 - 1

# A shard's counts, three shards a word: slots (16 bits) | active from the next change on (16) |
# active up to the epoch of the last change (16) | epoch of the last change (32).
COUNT_BITS: constant(uint256) = 80
COUNTS_PER_WORD: constant(uint256) = 3
COUNT_MASK: constant(uint256) = 2**80 - 1
# A draw looks at as many slots, see `draw.vy`: no list may hide an active seat from it.
MAX_SLOTS: constant(uint256) = 64

# Bits of one shard in what the market receives.
SEAT_COUNT_BITS: constant(uint256) = 24

# Seat lists by version; inside, a place is shard << 16 | slot.
_slots: HashMap[bytes32, HashMap[uint256, Slot]]
_counts: HashMap[bytes32, uint256[3]]

# Where an operator sits in a version: its place plus one.
_place_of: HashMap[bytes32, HashMap[address, uint256]]


# === Views ===


@external
@view
def request_snapshot(version_id: bytes32, shards: uint256, min_seats: uint256) -> uint256:
    """
    @notice Slots that the draws of a request made now run over; reverts when a shard has fewer
            than `min_seats` active seats or there is no active oracle seat.
    @dev Slots appended later have larger indices, so a draw over these never meets them.
    @param version_id The version.
    @param shards Its number of shards.
    @param min_seats Active seats that every shard must have.
    @return 24 bits a shard, oracle slots at index 8.
    """
    epoch: uint256 = epoch_clock._epoch()
    oracles: uint256 = self._counts[empty(bytes32)][2] >> (2 * COUNT_BITS)
    assert self._active(oracles, epoch) != 0, "vault: no oracle seat"

    counts: uint256 = (oracles & MASK_16) << (ORACLE_SHARD * SEAT_COUNT_BITS)
    word: uint256 = 0
    for shard: uint256 in range(shards, bound=MAX_SHARDS):
        if shard % COUNTS_PER_WORD == 0:
            word = self._counts[version_id][shard // COUNTS_PER_WORD]
        assert self._active(word, epoch) >= min_seats, "vault: too few seats"
        counts |= (word & MASK_16) << (shard * SEAT_COUNT_BITS)
        word = word >> COUNT_BITS
    return counts


@external
@view
def seat_counts(version_id: bytes32, shards: uint256) -> uint256:
    """
    @notice Slots of each shard, active or not.
    @param version_id The version.
    @param shards Its number of shards.
    @return 24 bits a shard, oracle slots at index 8.
    """
    oracles: uint256 = self._count(empty(bytes32), ORACLE_SHARD)
    counts: uint256 = (oracles & MASK_16) << (ORACLE_SHARD * SEAT_COUNT_BITS)
    for shard: uint256 in range(shards, bound=MAX_SHARDS):
        counts |= (self._count(version_id, shard) & MASK_16) << (shard * SEAT_COUNT_BITS)
    return counts


@external
@view
def active_counts(version_id: bytes32, shards: uint256) -> uint256:
    """
    @notice Seats of each shard that are active in the current epoch.
    @param version_id The version.
    @param shards Its number of shards.
    @return 24 bits a shard, oracle seats at index 8.
    """
    epoch: uint256 = epoch_clock._epoch()
    oracles: uint256 = self._active(self._count(empty(bytes32), ORACLE_SHARD), epoch)
    counts: uint256 = oracles << (ORACLE_SHARD * SEAT_COUNT_BITS)
    for shard: uint256 in range(shards, bound=MAX_SHARDS):
        active: uint256 = self._active(self._count(version_id, shard), epoch)
        counts |= active << (shard * SEAT_COUNT_BITS)
    return counts


@external
@view
def tenures(
    version_id: bytes32, shard: uint256, slots: DynArray[uint256, 16]
) -> DynArray[uint256, 16]:
    """
    @notice Who signs for the seats of `slots`, for whom and when, a word each: signer (160 bits,
            lowest) | number of the operator (32) | from_epoch (32) | to_epoch (32).
    @param version_id The version, zero for oracles.
    @param shard The shard's index, 8 for oracles.
    @param slots Slot indices.
    @return One word a slot, zero for vacant ones; slots that no list can have revert.
    """
    words: DynArray[uint256, 16] = []
    for slot: uint256 in slots:
        words.append(self._tenure(version_id, shard, slot))
    return words


@external
@view
def seat_lock(version_id: bytes32, shard: uint256, slot: uint256) -> uint256:
    """
    @notice Stake that a seat locks.
    @param version_id The version.
    @param shard The shard's index.
    @param slot The slot.
    @return NES units.
    """
    return self._slots[version_id][self._place(shard, slot)].locked


@external
@view
def seat_of(version_id: bytes32, operator: address) -> (uint256, uint256):
    """
    @notice Where an operator sits in a version; reverts when it does not.
    @param version_id The version, zero for oracles.
    @param operator The operator.
    @return The shard and the slot.
    """
    return self._seat_of(version_id, operator)


# === Internals ===


@internal
@view
def _seat_of(version_id: bytes32, operator: address) -> (uint256, uint256):
    place: uint256 = self._place_of[version_id][operator]
    assert place != 0, "vault: not seated"
    return (place - 1) >> 16, (place - 1) & MASK_16


@internal
@pure
def _place(shard: uint256, slot: uint256) -> uint256:
    assert shard <= ORACLE_SHARD, "vault: no such shard"
    assert slot < MAX_SLOTS, "vault: no such slot"
    return (shard << 16) | slot


@internal
@view
def _tenure(version_id: bytes32, shard: uint256, slot: uint256) -> uint256:
    return self._slots[version_id][self._place(shard, slot)].tenure


@internal
@view
def _is_seated(version_id: bytes32, operator: address) -> bool:
    return self._place_of[version_id][operator] != 0


@internal
@view
def _count(version_id: bytes32, shard: uint256) -> uint256:
    word: uint256 = self._counts[version_id][shard // COUNTS_PER_WORD]
    return (word >> (shard % COUNTS_PER_WORD * COUNT_BITS)) & COUNT_MASK


@internal
@pure
def _active(count: uint256, epoch: uint256) -> uint256:
    # Changes take effect with the epoch after theirs. Higher bits may belong to other shards.
    if (count >> 48) & (2**32 - 1) == epoch:
        return (count >> 32) & MASK_16
    return (count >> 16) & MASK_16


@internal
def _store_count(version_id: bytes32, shard: uint256, slots: uint256, next_active: uint256):
    epoch: uint256 = epoch_clock._epoch()
    active: uint256 = self._active(self._count(version_id, shard), epoch)
    count: uint256 = slots | (next_active << 16) | (active << 32) | (epoch << 48)

    offset: uint256 = shard % COUNTS_PER_WORD * COUNT_BITS
    word: uint256 = self._counts[version_id][shard // COUNTS_PER_WORD]
    word = (word & ~(COUNT_MASK << offset)) | (count << offset)
    self._counts[version_id][shard // COUNTS_PER_WORD] = word


@internal
def _take(
    version_id: bytes32, shard: uint256, operator: address, seat: uint256, locked: uint256
) -> uint256:
    # Puts an operator's seat into the first vacant slot.
    slot: uint256 = self._open_slot(version_id, shard)
    place: uint256 = self._place(shard, slot)
    self._place_of[version_id][operator] = place + 1
    self._slots[version_id][place] = Slot(tenure=seat, locked=locked)
    return slot


@internal
def _open_slot(version_id: bytes32, shard: uint256) -> uint256:
    # The first vacant slot, or one more.
    count: uint256 = self._count(version_id, shard)
    slots: uint256 = count & MASK_16
    slot: uint256 = 0
    for _: uint256 in range(slots, bound=MAX_SLOTS):
        if self._slots[version_id][self._place(shard, slot)].tenure == 0:
            break
        slot += 1
    assert slot < MAX_SLOTS, "vault: shard is full"

    next_active: uint256 = ((count >> 16) & MASK_16) + 1
    self._store_count(version_id, shard, max(slots, slot + 1), next_active)
    return slot


@internal
def _end(version_id: bytes32, shard: uint256, slot: uint256, operator: address) -> uint256:
    # Ends a seat with the epoch; returns what it locks until it is vacated.
    place: uint256 = self._place(shard, slot)
    word: uint256 = self._slots[version_id][place].tenure
    assert tenure.to_epoch(word) == tenure.NO_END, "vault: seat already left"

    to_epoch: uint256 = epoch_clock._epoch() + 1
    self._slots[version_id][place].tenure = tenure.until(word, to_epoch)
    count: uint256 = self._count(version_id, shard)
    next_active: uint256 = ((count >> 16) & MASK_16) - 1
    self._store_count(version_id, shard, count & MASK_16, next_active)

    log IStakeVault.SeatLeft(
        version_id=version_id, operator=operator, shard=shard, slot=slot, to_epoch=to_epoch
    )
    return self._slots[version_id][place].locked


@internal
def _vacate(version_id: bytes32, shard: uint256, slot: uint256, operator: address) -> uint256:
    # Makes a slot vacant; returns what it locked.
    place: uint256 = self._place(shard, slot)
    locked: uint256 = self._slots[version_id][place].locked
    self._place_of[version_id][operator] = 0
    self._slots[version_id][place] = empty(Slot)
    self._cut_vacant_end(version_id, shard)
    return locked


@internal
def _cut_vacant_end(version_id: bytes32, shard: uint256):
    # Every slot of the list costs a draw that meets it. A draw that ran over the longer list finds
    # the same vacancies there, or seats of later epochs.
    count: uint256 = self._count(version_id, shard)
    slots: uint256 = count & MASK_16
    for _: uint256 in range(MAX_SLOTS):
        if slots == 0 or self._slots[version_id][self._place(shard, slots - 1)].tenure != 0:
            break
        slots -= 1
    if slots != count & MASK_16:
        self._store_count(version_id, shard, slots, (count >> 16) & MASK_16)
