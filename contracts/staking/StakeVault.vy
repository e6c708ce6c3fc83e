# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Stake Vault
@license AGPL-3.0-only
@notice Keeps the operators, their stake and their seats. A seat is a fixed stake for one shard of
        one version; oracle seats sit at shard 8 of the zero version. Changes of a seat take
        effect with the next epoch, so the seats of an epoch are known when it begins.
@dev Assumes that the token moves exactly what it is told, calls nobody back and never has more
     than 2**64 units, so that sums fit 64 bits.
@custom:invariant 1. The token balance covers all stake and all rewards:
    tests/invariants/test_stake_vault.py::StakeVaultMachine.balance_covers_stake_and_rewards
    2. Locked and thawing stake never exceed stake, unless a slash went into the locked part:
    tests/invariants/test_stake_vault.py::StakeVaultMachine.parts_fit_the_stake
    3. An operator locks what its seats lock:
    tests/invariants/test_stake_vault.py::StakeVaultMachine.locks_are_those_of_the_seats
    4. Counts are those of the seats, in every epoch:
    tests/invariants/test_stake_vault.py::StakeVaultMachine.counts_are_those_of_the_seats
@custom:kill No switch. Nothing pauses an exit or a slash.
"""
from ethereum.ercs import IERC20

from ..interfaces import IModelRegistry
from ..interfaces import INesToken
from ..interfaces import IProtocolParameters
from ..interfaces import IStakeVault

implements: IStakeVault

from ..lib import parameter_words
from ..lib import signature
from ..lib import tenure

# A slot of a seat list, all zero when it is vacant. Reports read the first word only.
struct Slot:
    tenure: uint256  # see `lib/tenure.vy`
    locked: uint256  # NES units

# What a signer signs for the operator that takes it.
CONSENT_TYPE: constant(bytes32) = keccak256("SignerConsent(address operator)")

ORACLE_SHARD: constant(uint256) = 8
MAX_SHARDS: constant(uint256) = 8

MASK_16: constant(uint256) = 2**16 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1

# A shard's counts, three shards a word: slots (16 bits) | active from the next change on (16) |
# active up to the epoch of the last change (16) | epoch of the last change (32).
COUNT_BITS: constant(uint256) = 80
COUNTS_PER_WORD: constant(uint256) = 3
COUNT_MASK: constant(uint256) = 2**80 - 1
# A draw looks at as many slots, see `lib/draw.vy`: no list may hide an active seat from it.
MAX_SLOTS: constant(uint256) = 64

# Bits of one shard in what the market receives.
SEAT_COUNT_BITS: constant(uint256) = 24

MAX_UNBONDING: constant(uint256) = 2**32 - 1  # seconds

TOKEN: immutable(IERC20)
REGISTRY: immutable(IModelRegistry)
PARAMETERS: immutable(IProtocolParameters)
EPOCH_SECONDS: immutable(uint256)
UNBONDING_SECONDS: immutable(uint256)
SLASHER_SETTER: immutable(address)

# The dispute court; zero until it is named.
slasher: public(address)

# What the vault owes, never read from a balance.
total_stake: public(uint256)
total_rewards: public(uint256)

# What slashes rewarded an account with and it did not withdraw yet.
rewards: public(HashMap[address, uint256])

operators: public(HashMap[address, IStakeVault.Operator])

# Operators are numbered from 1, because a seat has room for a number only.
operator_count: public(uint256)
operator_number: public(HashMap[address, uint256])
operator_at: public(HashMap[uint256, address])

# The operator that a signer belongs to for good.
operator_of: public(HashMap[address, address])

# stake (64 bits) | locked (64) | unbonding (64) | withdrawable_at (48) | holds (16).
_ledgers: HashMap[address, uint256]

# Seat lists by version; inside, a place is shard << 16 | slot.
_slots: HashMap[bytes32, HashMap[uint256, Slot]]
_counts: HashMap[bytes32, uint256[3]]

# Where an operator sits in a version: its place plus one.
_place_of: HashMap[bytes32, HashMap[address, uint256]]


@deploy
def __init__(
    token: address,
    registry: address,
    parameters: address,
    epoch_seconds: uint256,
    unbonding_seconds: uint256,
    slasher_setter: address,
):
    """
    @notice Binds the vault to its contracts for good.
    @param token NES.
    @param registry The model registry.
    @param parameters The protocol parameters.
    @param epoch_seconds Length of an epoch.
    @param unbonding_seconds How long exits take; longer than any query.
    @param slasher_setter Who may name the slasher, once.
    """
    assert epoch_seconds != 0, "vault: no epoch"
    longest: uint256 = staticcall IProtocolParameters(parameters).maximum_query_seconds()
    assert unbonding_seconds >= longest + epoch_seconds, "vault: unbonding too short"
    assert unbonding_seconds <= MAX_UNBONDING, "vault: unbonding too long"

    TOKEN = IERC20(token)
    REGISTRY = IModelRegistry(registry)
    PARAMETERS = IProtocolParameters(parameters)
    EPOCH_SECONDS = epoch_seconds
    UNBONDING_SECONDS = unbonding_seconds
    SLASHER_SETTER = slasher_setter


# === Operators ===


@external
def register_operator(
    signer: address,
    consent: IStakeVault.Consent,
    encryption_key: bytes32,
    endpoint: String[128],
):
    """
    @notice Makes the caller an operator; its address is the operator's id and should be cold.
    @param signer Hot key that signs work. It can never belong to another operator.
    @param consent The signer's signature, see `IStakeVault`.
    @param encryption_key X25519 public key.
    @param endpoint Where members and oracles reach the operator.
    """
    assert self.operators[msg.sender].signer == empty(address), "vault: already an operator"
    assert encryption_key != empty(bytes32), "vault: no encryption key"
    self._check_endpoint(endpoint)

    self._claim_signer(signer, consent)
    self._number_operator()
    self.operators[msg.sender] = IStakeVault.Operator(
        signer=signer,
        encryption_key=encryption_key,
        next_encryption_key=encryption_key,
        key_epoch=self._epoch(),
        endpoint=endpoint,
    )

    log IStakeVault.OperatorRegistered(
        operator=msg.sender, signer=signer, encryption_key=encryption_key, endpoint=endpoint
    )


@external
def set_endpoint(endpoint: String[128]):
    """
    @notice Changes where the calling operator is reached.
    @param endpoint The new endpoint.
    """
    self._check_operator(msg.sender)
    self._check_endpoint(endpoint)

    self.operators[msg.sender].endpoint = endpoint

    log IStakeVault.EndpointChanged(operator=msg.sender, endpoint=endpoint)


@external
def set_encryption_key(encryption_key: bytes32):
    """
    @notice Changes the calling operator's encryption key from the next epoch on.
    @param encryption_key X25519 public key.
    """
    self._check_operator(msg.sender)
    assert encryption_key != empty(bytes32), "vault: encryption key is zero"

    epoch: uint256 = self._epoch()
    if self.operators[msg.sender].key_epoch <= epoch:
        current: bytes32 = self.operators[msg.sender].next_encryption_key
        self.operators[msg.sender].encryption_key = current
    self.operators[msg.sender].next_encryption_key = encryption_key
    self.operators[msg.sender].key_epoch = epoch + 1

    log IStakeVault.EncryptionKeyChanged(
        operator=msg.sender, encryption_key=encryption_key, from_epoch=epoch + 1
    )


@external
def rotate_signer(signer: address, consent: IStakeVault.Consent):
    """
    @notice Changes the signer of seats that the caller takes later; a seat keeps its signer.
    @param signer The new signer; a former signer of the same operator is allowed.
    @param consent The new signer's signature, see `IStakeVault`.
    """
    self._check_operator(msg.sender)

    self._claim_signer(signer, consent)
    self.operators[msg.sender].signer = signer

    log IStakeVault.SignerRotated(operator=msg.sender, signer=signer)


# === Stake ===


@external
@nonreentrant
def deposit(amount: uint256):
    """
    @notice Adds stake to the calling operator.
    @param amount NES units that the vault may pull from the caller.
    """
    self._deposit(msg.sender, amount)


@external
@nonreentrant
def deposit_for(operator: address, amount: uint256):
    """
    @notice Adds stake to an operator, from the caller's NES. It belongs to the operator then.
    @param operator The operator.
    @param amount NES units that the vault may pull from the caller.
    """
    self._deposit(operator, amount)


@external
def begin_unbonding(amount: uint256):
    """
    @notice Starts to thaw free stake. A further call adds to the sum and starts the clock again.
    @param amount NES units.
    """
    ledger: IStakeVault.Ledger = self._ledger(msg.sender)
    assert amount != 0, "vault: nothing to unbond"
    assert amount <= self._free(ledger), "vault: too little free stake"

    ledger.unbonding += amount
    ledger.withdrawable_at = block.timestamp + UNBONDING_SECONDS
    self._store_ledger(msg.sender, ledger)

    log IStakeVault.UnbondingBegun(
        operator=msg.sender, amount=amount, withdrawable_at=ledger.withdrawable_at
    )


@external
def cancel_unbonding():
    """
    @notice Makes the caller's thawing stake free again.
    """
    ledger: IStakeVault.Ledger = self._ledger(msg.sender)
    amount: uint256 = ledger.unbonding
    assert amount != 0, "vault: nothing unbonds"

    ledger.unbonding = 0
    ledger.withdrawable_at = 0
    self._store_ledger(msg.sender, ledger)

    log IStakeVault.UnbondingCancelled(operator=msg.sender, amount=amount)


@external
@nonreentrant
def withdraw() -> uint256:
    """
    @notice Pays the caller its thawed stake.
    @return NES units paid.
    """
    ledger: IStakeVault.Ledger = self._ledger(msg.sender)
    amount: uint256 = ledger.unbonding
    assert amount != 0, "vault: nothing to withdraw"
    assert block.timestamp >= ledger.withdrawable_at, "vault: still unbonding"
    assert ledger.holds == 0, "vault: operator is held"

    ledger.stake -= amount
    ledger.unbonding = 0
    ledger.withdrawable_at = 0
    self._store_ledger(msg.sender, ledger)
    self.total_stake -= amount

    log IStakeVault.StakeWithdrawn(operator=msg.sender, amount=amount)

    assert extcall TOKEN.transfer(msg.sender, amount)
    return amount


@external
@nonreentrant
def withdraw_reward() -> uint256:
    """
    @notice Pays the caller what slashes rewarded it with.
    @return NES units paid.
    """
    amount: uint256 = self.rewards[msg.sender]
    assert amount != 0, "vault: no reward"

    self.rewards[msg.sender] = 0
    self.total_rewards -= amount

    log IStakeVault.RewardWithdrawn(account=msg.sender, amount=amount)

    assert extcall TOKEN.transfer(msg.sender, amount)
    return amount


# === Seats ===


@external
def take_seat(
    version_id: bytes32, shard: uint256, circuit_digest: bytes32, verifier_code_hash: bytes32
) -> uint256:
    """
    @notice Seats the calling operator in one shard of a version from the next epoch on, locking
            the seat stake of the moment. Oracles sit at shard 8 of the zero version.
    @param version_id The version; an operator has one seat a version at most.
    @param shard The shard's index.
    @param circuit_digest What the operator rebuilt itself; must equal what was registered.
    @param verifier_code_hash As `circuit_digest`; both are zero without a circuit.
    @return The slot.
    """
    self._check_operator(msg.sender)
    assert self._place_of[version_id][msg.sender] == 0, "vault: already seated"
    self._check_facts(version_id, shard, circuit_digest, verifier_code_hash)
    parameters: uint256 = 0
    limits: uint256 = 0
    parameters, limits = staticcall PARAMETERS.request_terms()
    stake: uint256 = parameter_words.seat_stake(limits)
    ledger: IStakeVault.Ledger = self._ledger(msg.sender)
    assert stake <= self._free(ledger), "vault: too little stake"

    signer: address = self.operators[msg.sender].signer
    from_epoch: uint256 = self._epoch() + 1
    slot: uint256 = self._open_slot(version_id, shard)
    place: uint256 = self._place(shard, slot)
    ledger.locked += stake
    self._store_ledger(msg.sender, ledger)
    self._place_of[version_id][msg.sender] = place + 1
    self._slots[version_id][place] = Slot(
        tenure=tenure.pack(signer, self.operator_number[msg.sender], from_epoch, tenure.NO_END),
        locked=stake,
    )

    log IStakeVault.SeatTaken(
        version_id=version_id,
        operator=msg.sender,
        shard=shard,
        slot=slot,
        signer=signer,
        from_epoch=from_epoch,
        circuit_digest=circuit_digest,
        verifier_code_hash=verifier_code_hash,
    )
    return slot


@external
def leave_seat(version_id: bytes32, shard: uint256, slot: uint256):
    """
    @notice Ends the caller's seat with the current epoch. Queries of this epoch may still draw
            it, so the stake stays locked until `release_seat`.
    @param version_id The version.
    @param shard The shard's index.
    @param slot The slot.
    """
    seat: IStakeVault.Seat = self._seat(version_id, self._place(shard, slot))
    assert seat.operator == msg.sender, "vault: not your seat"
    self._end_seat(version_id, shard, slot, seat)


@external
def evict(version_id: bytes32, shard: uint256, slot: uint256):
    """
    @notice Ends the seat of an operator whose stake no longer covers its seats.
    @dev Anyone may call; the operator can prevent it by a deposit.
    @param version_id The version.
    @param shard The shard's index.
    @param slot The slot.
    """
    seat: IStakeVault.Seat = self._seat(version_id, self._place(shard, slot))
    ledger: IStakeVault.Ledger = self._ledger(seat.operator)
    assert ledger.stake < ledger.locked, "vault: seats are covered"
    self._end_seat(version_id, shard, slot, seat)


@external
def release_seat(version_id: bytes32, shard: uint256, slot: uint256):
    """
    @notice Unlocks the stake of a seat that ended so long ago that no query can need it, or that
            was left before it began.
    @dev Anyone may call. Refused while the operator is held.
    @param version_id The version.
    @param shard The shard's index.
    @param slot The slot.
    """
    place: uint256 = self._place(shard, slot)
    seat: IStakeVault.Seat = self._seat(version_id, place)
    assert seat.operator != empty(address), "vault: slot is vacant"
    assert seat.to_epoch != tenure.NO_END, "vault: seat not left"
    if seat.from_epoch < seat.to_epoch:
        released_at: uint256 = seat.to_epoch * EPOCH_SECONDS + UNBONDING_SECONDS
        assert block.timestamp >= released_at, "vault: seat may be needed"
    ledger: IStakeVault.Ledger = self._ledger(seat.operator)
    assert ledger.holds == 0, "vault: seat is held"

    ledger.locked -= self._slots[version_id][place].locked
    self._store_ledger(seat.operator, ledger)
    self._place_of[version_id][seat.operator] = 0
    self._slots[version_id][place] = empty(Slot)
    self._cut_vacant_end(version_id, shard)

    log IStakeVault.SeatReleased(
        version_id=version_id, operator=seat.operator, shard=shard, slot=slot
    )


@external
def summon(operator: address, query_id: uint256, attempt: uint256, shard: uint256):
    """
    @notice Calls a silent member to answer on chain. Reserved: always reverts.
    @param operator The operator.
    @param query_id The query.
    @param attempt The query's attempt.
    @param shard The shard's index.
    """
    raise "vault: not offered yet"


# === Court ===


@external
def set_slasher(slasher: address):
    """
    @notice Names the one contract that may slash and hold, for good.
    @dev Only the account that the deployer named, once.
    @param slasher The dispute court.
    """
    assert msg.sender == SLASHER_SETTER, "vault: not the setter"
    assert self.slasher == empty(address), "vault: slasher is set"
    assert slasher != empty(address), "vault: no slasher"

    self.slasher = slasher

    log IStakeVault.SlasherSet(slasher=slasher)


@external
def slash(
    operator: address, amount: uint256, beneficiary: address, reward: uint256
) -> uint256:
    """
    @notice Takes stake at once: free first, then thawing, then locked.
    @dev Only the slasher. Takes what is there when there is less, and never reverts for it. Half
         of what was taken rounds down, in favour of the burn.
    @param operator Whose stake.
    @param amount NES units to take.
    @param beneficiary Who may withdraw the reward.
    @param reward NES units; at most half of what was taken is credited, the rest is burned.
    @return NES units taken.
    """
    self._check_slasher()
    ledger: IStakeVault.Ledger = self._ledger(operator)
    taken: uint256 = min(amount, ledger.stake)
    rewarded: uint256 = 0
    if beneficiary != empty(address):
        rewarded = min(reward, taken // 2)
    burned: uint256 = taken - rewarded

    ledger.stake -= taken
    unlocked: uint256 = 0
    if ledger.stake > ledger.locked:
        unlocked = ledger.stake - ledger.locked
    ledger.unbonding = min(ledger.unbonding, unlocked)
    self._store_ledger(operator, ledger)
    self.total_stake -= taken
    self.rewards[beneficiary] += rewarded
    self.total_rewards += rewarded

    log IStakeVault.OperatorSlashed(
        operator=operator,
        requested=amount,
        taken=taken,
        beneficiary=beneficiary,
        rewarded=rewarded,
        burned=burned,
    )

    extcall INesToken(TOKEN.address).burn(burned)
    return taken


@external
def hold(operator: address):
    """
    @notice Stops an operator's withdrawals and seat releases while a dispute is open.
    @dev Only the slasher. Holds are counted.
    @param operator The operator.
    """
    self._check_slasher()
    ledger: IStakeVault.Ledger = self._ledger(operator)
    assert ledger.holds < MASK_16, "vault: too many holds"

    ledger.holds += 1
    self._store_ledger(operator, ledger)

    log IStakeVault.OperatorHeld(operator=operator, holds=ledger.holds)


@external
def release_hold(operator: address):
    """
    @notice Ends one hold.
    @dev Only the slasher.
    @param operator The operator.
    """
    self._check_slasher()
    ledger: IStakeVault.Ledger = self._ledger(operator)
    assert ledger.holds != 0, "vault: no hold"

    ledger.holds -= 1
    self._store_ledger(operator, ledger)

    log IStakeVault.OperatorHeld(operator=operator, holds=ledger.holds)


# === Views ===


@external
@view
def epoch_seconds() -> uint256:
    """
    @notice Length of an epoch; never changes.
    @return Seconds.
    """
    return EPOCH_SECONDS


@external
@view
def unbonding_seconds() -> uint256:
    """
    @notice How long stake thaws and how long an ended seat stays locked; never changes.
    @return Seconds.
    """
    return UNBONDING_SECONDS


@external
@view
def epoch() -> uint256:
    """
    @notice The current epoch: block time divided by `epoch_seconds`.
    @return Its number.
    """
    return self._epoch()


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
    epoch: uint256 = self._epoch()
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
    epoch: uint256 = self._epoch()
    oracles: uint256 = self._active(self._count(empty(bytes32), ORACLE_SHARD), epoch)
    counts: uint256 = oracles << (ORACLE_SHARD * SEAT_COUNT_BITS)
    for shard: uint256 in range(shards, bound=MAX_SHARDS):
        active: uint256 = self._active(self._count(version_id, shard), epoch)
        counts |= active << (shard * SEAT_COUNT_BITS)
    return counts


@external
@view
def seats(
    version_id: bytes32, shard: uint256, slots: DynArray[uint256, 16]
) -> DynArray[IStakeVault.Seat, 16]:
    """
    @notice Seats in the order of `slots`; vacant and unknown slots give empty seats.
    @param version_id The version, zero for oracles.
    @param shard The shard's index, 8 for oracles.
    @param slots Slot indices.
    @return One seat a slot.
    """
    seated: DynArray[IStakeVault.Seat, 16] = []
    for slot: uint256 in slots:
        seated.append(self._seat(version_id, self._place(shard, slot)))
    return seated


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
    @return One word a slot, zero for vacant and unknown ones.
    """
    words: DynArray[uint256, 16] = []
    for slot: uint256 in slots:
        words.append(self._slots[version_id][self._place(shard, slot)].tenure)
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
    place: uint256 = self._place_of[version_id][operator]
    assert place != 0, "vault: not seated"
    return (place - 1) >> 16, (place - 1) & MASK_16


@external
@view
def ledger(operator: address) -> IStakeVault.Ledger:
    """
    @notice An operator's stake.
    @param operator The operator.
    @return The ledger.
    """
    return self._ledger(operator)


# === Internals: operators and stake ===


@internal
@view
def _epoch() -> uint256:
    return block.timestamp // EPOCH_SECONDS


@internal
@view
def _check_operator(operator: address):
    assert self.operators[operator].signer != empty(address), "vault: not an operator"


@internal
@view
def _check_slasher():
    assert msg.sender == self.slasher, "vault: not the slasher"


@internal
def _claim_signer(signer: address, consent: IStakeVault.Consent):
    # Without consent anybody could take an address that somebody else signs or reports with, and
    # what that earns.
    assert signer != empty(address), "vault: no signer"
    message: bytes32 = keccak256(abi_encode(CONSENT_TYPE, msg.sender))
    digest: bytes32 = signature.typed_hash(self, message)
    consenting: address = signature.signer_of(digest, consent.r, consent.vs)
    assert consenting == signer, "vault: signer did not consent"
    holder: address = self.operator_of[signer]
    assert holder == empty(address) or holder == msg.sender, "vault: signer is taken"

    self.operator_of[signer] = msg.sender


@internal
def _number_operator():
    number: uint256 = self.operator_count + 1
    assert number <= tenure.MAX_OPERATORS, "vault: too many operators"
    self.operator_count = number
    self.operator_number[msg.sender] = number
    self.operator_at[number] = msg.sender


@internal
@pure
def _check_endpoint(endpoint: String[128]):
    assert len(endpoint) != 0, "vault: no endpoint"


@internal
def _deposit(operator: address, amount: uint256):
    self._check_operator(operator)
    assert amount != 0, "vault: nothing to deposit"

    ledger: IStakeVault.Ledger = self._ledger(operator)
    ledger.stake += amount
    self._store_ledger(operator, ledger)
    self.total_stake += amount

    log IStakeVault.StakeDeposited(operator=operator, amount=amount)

    assert extcall TOKEN.transferFrom(msg.sender, self, amount)


@internal
@view
def _ledger(operator: address) -> IStakeVault.Ledger:
    word: uint256 = self._ledgers[operator]
    return IStakeVault.Ledger(
        stake=word & MASK_64,
        locked=(word >> 64) & MASK_64,
        unbonding=(word >> 128) & MASK_64,
        withdrawable_at=(word >> 192) & MASK_48,
        holds=word >> 240,
    )


@internal
def _store_ledger(operator: address, ledger: IStakeVault.Ledger):
    self._ledgers[operator] = (
        ledger.stake
        | (ledger.locked << 64)
        | (ledger.unbonding << 128)
        | (ledger.withdrawable_at << 192)
        | (ledger.holds << 240)
    )


@internal
@pure
def _free(ledger: IStakeVault.Ledger) -> uint256:
    bound: uint256 = ledger.locked + ledger.unbonding
    if ledger.stake <= bound:
        return 0
    return ledger.stake - bound


# === Internals: seats ===


@internal
@view
def _check_facts(
    version_id: bytes32, shard: uint256, circuit_digest: bytes32, verifier_code_hash: bytes32
):
    registered_circuit: bytes32 = empty(bytes32)
    registered_code: bytes32 = empty(bytes32)
    if shard == ORACLE_SHARD:
        assert version_id == empty(bytes32), "vault: oracles have no version"
    else:
        registered_circuit, registered_code = staticcall REGISTRY.facts(version_id, shard)
    assert circuit_digest == registered_circuit, "vault: other circuit"
    assert verifier_code_hash == registered_code, "vault: other verifier"


@internal
@pure
def _place(shard: uint256, slot: uint256) -> uint256:
    assert shard <= ORACLE_SHARD, "vault: no such shard"
    assert slot < MAX_SLOTS, "vault: no such slot"
    return (shard << 16) | slot


@internal
@view
def _seat(version_id: bytes32, place: uint256) -> IStakeVault.Seat:
    word: uint256 = self._slots[version_id][place].tenure
    return IStakeVault.Seat(
        operator=self.operator_at[tenure.operator_number(word)],
        signer=tenure.signer(word),
        from_epoch=tenure.from_epoch(word),
        to_epoch=tenure.to_epoch(word),
    )


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
    epoch: uint256 = self._epoch()
    active: uint256 = self._active(self._count(version_id, shard), epoch)
    count: uint256 = slots | (next_active << 16) | (active << 32) | (epoch << 48)

    offset: uint256 = shard % COUNTS_PER_WORD * COUNT_BITS
    word: uint256 = self._counts[version_id][shard // COUNTS_PER_WORD]
    word = (word & ~(COUNT_MASK << offset)) | (count << offset)
    self._counts[version_id][shard // COUNTS_PER_WORD] = word


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
def _end_seat(version_id: bytes32, shard: uint256, slot: uint256, seat: IStakeVault.Seat):
    assert seat.to_epoch == tenure.NO_END, "vault: seat already left"

    to_epoch: uint256 = self._epoch() + 1
    place: uint256 = self._place(shard, slot)
    word: uint256 = self._slots[version_id][place].tenure
    self._slots[version_id][place].tenure = tenure.until(word, to_epoch)
    count: uint256 = self._count(version_id, shard)
    next_active: uint256 = ((count >> 16) & MASK_16) - 1
    self._store_count(version_id, shard, count & MASK_16, next_active)

    log IStakeVault.SeatLeft(
        version_id=version_id, operator=seat.operator, shard=shard, slot=slot, to_epoch=to_epoch
    )


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
