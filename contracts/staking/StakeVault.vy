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
    5. Delegated stake is a part of the stake, and the last one that a slash takes:
    tests/invariants/test_delegation_pool.py::DelegationPoolMachine.own_stake_goes_first
    6. Slashes credit no more than half of what the operator has lost of its own since anybody
       delegated to it, so no friend of it gains by robbing its delegators:
    tests/invariants/test_delegation_pool.py::DelegationPoolMachine.rewards_are_own_stake
@custom:kill No switch. Nothing pauses an exit or a slash.
"""
from ethereum.ercs import IERC20

from ..interfaces import IModelRegistry
from ..interfaces import INesToken
from ..interfaces import IProtocolParameters
from ..interfaces import IStakeVault

implements: IStakeVault

from ..lib import absence
from ..lib import epoch_clock
from ..lib import operator_book
from ..lib import parameter_words
from ..lib import seat_lists
from ..lib import tenure

initializes: epoch_clock
initializes: operator_book[epoch_clock := epoch_clock]
initializes: seat_lists[epoch_clock := epoch_clock]

exports: (
    epoch_clock.epoch_seconds,
    epoch_clock.epoch,
    operator_book.register_operator,
    operator_book.set_endpoint,
    operator_book.set_encryption_key,
    operator_book.rotate_signer,
    operator_book.operators,
    operator_book.operator_count,
    operator_book.operator_number,
    operator_book.operator_at,
    operator_book.operator_of,
    seat_lists.request_snapshot,
    seat_lists.seat_counts,
    seat_lists.active_counts,
    seat_lists.tenures,
    seat_lists.seat_lock,
    seat_lists.seat_of,
)

MASK_16: constant(uint256) = 2**16 - 1
MASK_48: constant(uint256) = 2**48 - 1
MASK_64: constant(uint256) = 2**64 - 1

MAX_UNBONDING: constant(uint256) = 2**32 - 1  # seconds

BPS: constant(uint256) = 10_000
# Part of what its seats lock, and of all stake when somebody delegates, that an operator must own.
OWN_BPS: public(constant(uint256)) = 5_000
# Part of a slash that is not burned. It comes out of own stake alone, however much is delegated.
REWARD_BPS: public(constant(uint256)) = 2_500

TOKEN: immutable(IERC20)
REGISTRY: immutable(IModelRegistry)
PARAMETERS: immutable(IProtocolParameters)
UNBONDING_SECONDS: immutable(uint256)
SETTER: immutable(address)

# The dispute court; zero until it is named.
slasher: public(address)
# Who stakes for delegators; zero until it is named.
delegation_pool: public(address)

# Who finds members absent; zero until it is named.
summoner: public(address)

# Slots of committees that spares may fill, see `lib/absence.vy`.
absences: public(HashMap[bytes32, uint256])

# What the vault owes, never read from a balance.
total_stake: public(uint256)
total_rewards: public(uint256)

# What slashes rewarded an account with and it did not withdraw yet.
rewards: public(HashMap[address, uint256])

# stake (64 bits) | locked (64) | unbonding (64) | withdrawable_at (48) | holds (16).
_ledgers: HashMap[address, uint256]

# delegated (64 bits) | leaving (64) | ending (64) | creditable (64).
_backings: HashMap[address, uint256]


@deploy
def __init__(
    token: address,
    registry: address,
    parameters: address,
    epoch_seconds: uint256,
    unbonding_seconds: uint256,
    setter: address,
):
    """
    @notice Binds the vault to its contracts for good.
    @param token NES.
    @param registry The model registry.
    @param parameters The protocol parameters.
    @param epoch_seconds Length of an epoch.
    @param unbonding_seconds How long exits take; longer than any query.
    @param setter Who may name the slasher, the summoner and the delegation pool, once each.
    """
    epoch_clock.__init__(epoch_seconds)
    longest: uint256 = staticcall IProtocolParameters(parameters).maximum_query_seconds()
    assert unbonding_seconds >= longest + epoch_seconds, "vault: unbonding too short"
    assert unbonding_seconds <= MAX_UNBONDING, "vault: unbonding too long"

    TOKEN = IERC20(token)
    REGISTRY = IModelRegistry(registry)
    PARAMETERS = IProtocolParameters(parameters)
    UNBONDING_SECONDS = unbonding_seconds
    SETTER = setter


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
    backing: IStakeVault.Backing = self._backing(msg.sender)
    assert amount != 0, "vault: nothing to unbond"
    assert amount <= self._free(ledger, backing), "vault: too little free stake"
    ledger.unbonding += amount
    owned: bool = self._owns(ledger, backing, ledger.locked)
    assert owned, "vault: own stake must stay"

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
def withdraw_reward(account: address) -> uint256:
    """
    @notice Pays an account what slashes rewarded it with, or repaid it: a client may be a contract
            that knows no vault. Anybody may call; it goes to the account.
    @param account Whose reward.
    @return NES units paid.
    """
    amount: uint256 = self.rewards[account]
    assert amount != 0, "vault: no reward"

    self.rewards[account] = 0
    self.total_rewards -= amount

    log IStakeVault.RewardWithdrawn(account=account, amount=amount)

    assert extcall TOKEN.transfer(account, amount)
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
    operator_book._check_operator(msg.sender)
    assert not seat_lists._is_seated(version_id, msg.sender), "vault: already seated"
    self._check_facts(version_id, shard, circuit_digest, verifier_code_hash)
    signer: address = operator_book.operators[msg.sender].signer
    admitted: bool = staticcall REGISTRY.admits(version_id, msg.sender, signer)
    assert admitted, "vault: not admitted"
    parameters: uint256 = 0
    limits: uint256 = 0
    parameters, limits = staticcall PARAMETERS.request_terms()
    stake: uint256 = parameter_words.seat_stake(limits)
    ledger: IStakeVault.Ledger = self._ledger(msg.sender)
    backing: IStakeVault.Backing = self._backing(msg.sender)
    assert stake <= self._free(ledger, backing), "vault: too little stake"
    ledger.locked += stake
    owned: bool = self._owns(ledger, backing, ledger.locked)
    assert owned, "vault: too little own stake"

    self._store_ledger(msg.sender, ledger)
    number: uint256 = operator_book.operator_number[msg.sender]
    from_epoch: uint256 = epoch_clock._epoch() + 1
    seat: uint256 = tenure.pack(signer, number, from_epoch, tenure.NO_END)
    slot: uint256 = seat_lists._take(version_id, shard, msg.sender, seat, stake)

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
    seat: IStakeVault.Seat = self._seat(version_id, shard, slot)
    assert seat.operator == msg.sender, "vault: not your seat"
    self._end_seat(version_id, shard, slot, seat.operator)


@external
def evict(version_id: bytes32, shard: uint256, slot: uint256):
    """
    @notice Ends the seat of an operator whose stake, without what thaws or leaves, no longer
            covers the seats that it has not left, or that the version admits no more.
    @dev Anyone may call; the operator can prevent it by a deposit, or by being admitted again.
    @param version_id The version.
    @param shard The shard's index.
    @param slot The slot.
    """
    seat: IStakeVault.Seat = self._seat(version_id, shard, slot)
    ledger: IStakeVault.Ledger = self._ledger(seat.operator)
    covered: bool = self._covers(ledger, self._backing(seat.operator))
    # A seat without cover ends whatever the admission answers, or does not.
    if covered:
        admitted: bool = staticcall REGISTRY.admits(version_id, seat.operator, seat.signer)
        assert not admitted, "vault: seat is covered"
    self._end_seat(version_id, shard, slot, seat.operator)


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
    seat: IStakeVault.Seat = self._seat(version_id, shard, slot)
    assert seat.operator != empty(address), "vault: slot is vacant"
    assert seat.to_epoch != tenure.NO_END, "vault: seat not left"
    if seat.from_epoch < seat.to_epoch:
        released_at: uint256 = seat.to_epoch * epoch_clock.EPOCH_SECONDS + UNBONDING_SECONDS
        assert block.timestamp >= released_at, "vault: seat may be needed"
    ledger: IStakeVault.Ledger = self._ledger(seat.operator)
    assert ledger.holds == 0, "vault: seat is held"

    unlocked: uint256 = seat_lists._vacate(version_id, shard, slot, seat.operator)
    ledger.locked -= unlocked
    self._store_ledger(seat.operator, ledger)
    backing: IStakeVault.Backing = self._backing(seat.operator)
    backing.ending -= unlocked
    self._store_backing(seat.operator, backing)

    log IStakeVault.SeatReleased(
        version_id=version_id, operator=seat.operator, shard=shard, slot=slot
    )


# === Summonses ===


@external
def set_summoner(summoner: address):
    """
    @notice Names the one contract that finds members absent, for good.
    @dev Only the account that the deployer named, once.
    @param summoner The contract for summonses.
    """
    self._check_setter()
    assert self.summoner == empty(address), "vault: summoner is set"
    assert summoner != empty(address), "vault: no summoner"

    self.summoner = summoner

    log IStakeVault.SummonerSet(summoner=summoner)


@external
def record_absence(work: bytes32, slot: uint256):
    """
    @notice Lets the next spare in draw order fill a slot of a committee.
    @dev Only the summoner.
    @param work The committee, see `lib/absence.vy`.
    @param slot The slot whose member is absent.
    """
    self._check_summoner()
    self.absences[work] = absence.with_entry(self.absences[work], slot, block.timestamp)


@external
def jail(version_id: bytes32, operator: address):
    """
    @notice Ends the seat of an operator that was absent too often. Its stake stays locked, and it
            takes no other seat of the version, until `release_seat`.
    @dev Only the summoner. Takes no stake.
    @param version_id The version.
    @param operator The operator.
    """
    self._check_summoner()
    shard: uint256 = 0
    slot: uint256 = 0
    shard, slot = seat_lists._seat_of(version_id, operator)
    self._end_seat(version_id, shard, slot, operator)


# === Delegation ===


@external
def set_delegation_pool(pool: address):
    """
    @notice Names the one contract that stakes for delegators, for good.
    @dev Only the account that the deployer named, once.
    @param pool The delegation pool.
    """
    self._check_setter()
    assert self.delegation_pool == empty(address), "vault: pool is set"
    assert pool != empty(address), "vault: no pool"

    self.delegation_pool = pool

    log IStakeVault.DelegationPoolSet(pool=pool)


@external
@nonreentrant
def delegate(operator: address, amount: uint256):
    """
    @notice Adds stake that is not the operator's own, as long as what it owns, without what thaws,
            is enough beside all stake.
    @dev Only the delegation pool. Own stake that was lost before rewards nobody any more: who
         delegates now is not to pay for it, and what is there is enough for every reward.
    @param operator The operator.
    @param amount NES units that the vault may pull from the pool.
    """
    self._check_pool()
    backing: IStakeVault.Backing = self._add_delegated(operator, amount)
    ledger: IStakeVault.Ledger = self._ledger(operator)
    owned: bool = self._owns(ledger, backing, ledger.stake - ledger.unbonding)
    assert owned, "vault: operator owns too little"

    backing.creditable = 0
    self._store_backing(operator, backing)


@external
@nonreentrant
def reward_delegators(operator: address, amount: uint256):
    """
    @notice Adds to what is delegated for those who delegated it, whatever the operator owns.
    @dev Only the delegation pool.
    @param operator The operator.
    @param amount NES units that the vault may pull from the pool.
    """
    self._check_pool()
    backing: IStakeVault.Backing = self._add_delegated(operator, amount)
    self._store_backing(operator, backing)


@external
def begin_undelegation(operator: address, amount: uint256):
    """
    @notice Reserves delegated stake that is about to leave: no new seat locks it, and seats that
            need it can be evicted.
    @dev Only the delegation pool.
    @param operator The operator.
    @param amount NES units.
    """
    self._check_pool()
    backing: IStakeVault.Backing = self._backing(operator)
    backing.leaving += amount
    self._store_backing(operator, backing)


@external
def cancel_undelegation(operator: address, amount: uint256):
    """
    @notice Takes back `begin_undelegation`.
    @dev Only the delegation pool.
    @param operator The operator.
    @param amount NES units, as reserved.
    """
    self._check_pool()
    backing: IStakeVault.Backing = self._backing(operator)
    backing.leaving -= amount
    self._store_backing(operator, backing)


@external
@nonreentrant
def undelegate(operator: address, reserved: uint256, amount: uint256):
    """
    @notice Pays the pool delegated stake that no seat locks.
    @dev Only the delegation pool, which keeps the time that exits take.
    @param operator The operator.
    @param reserved NES units that were reserved for it.
    @param amount NES units to pay; less than `reserved` after a slash.
    """
    self._check_pool()
    ledger: IStakeVault.Ledger = self._ledger(operator)
    backing: IStakeVault.Backing = self._backing(operator)
    assert ledger.holds == 0, "vault: delegation is held"
    bound: uint256 = ledger.locked + ledger.unbonding + amount
    assert bound <= ledger.stake, "vault: seats need the stake"

    ledger.stake -= amount
    self._store_ledger(operator, ledger)
    backing.delegated -= amount
    backing.leaving -= reserved
    self._store_backing(operator, backing)
    self.total_stake -= amount

    log IStakeVault.StakeUndelegated(operator=operator, amount=amount)

    assert extcall TOKEN.transfer(msg.sender, amount)


# === Court ===


@external
def set_slasher(slasher: address):
    """
    @notice Names the one contract that may slash and hold, for good.
    @dev Only the account that the deployer named, once.
    @param slasher The dispute court.
    """
    self._check_setter()
    assert self.slasher == empty(address), "vault: slasher is set"
    assert slasher != empty(address), "vault: no slasher"

    self.slasher = slasher

    log IStakeVault.SlasherSet(slasher=slasher)


@external
def slash(
    operator: address,
    amount: uint256,
    beneficiary: address,
    creditor: address,
    owed: uint256,
) -> IStakeVault.Slashed:
    """
    @notice Takes stake at once: the operator's own before delegated stake, and of either free
            stake first, then thawing, then locked. A share of it is credited, the rest is burned.
    @dev Only the slasher. Takes what is there when there is less, and never reverts for it. The
         share rounds down, in favour of the burn, and is never more than the part of what the
         operator lost of its own since somebody delegated to it that was not credited before.
    @param operator Whose stake.
    @param amount NES units to take.
    @param beneficiary Who may withdraw what is left of the share.
    @param creditor Who is repaid out of the share first.
    @param owed NES units to repay.
    @return What was taken, and who is credited with how much of it.
    """
    self._check_slasher()
    ledger: IStakeVault.Ledger = self._ledger(operator)
    backing: IStakeVault.Backing = self._backing(operator)
    taken: uint256 = min(amount, ledger.stake)
    own: uint256 = ledger.stake - backing.delegated
    lost: uint256 = min(taken, own)
    # Enough for the whole share of all stake while the operator owns the part of it that it must.
    creditable: uint256 = backing.creditable + lost * REWARD_BPS // OWN_BPS
    credited: uint256 = min(taken * REWARD_BPS // BPS, creditable)
    repaid: uint256 = min(owed, credited)
    rewarded: uint256 = credited - repaid

    # Without delegated stake all that is taken is own, and nothing need be remembered.
    if backing.delegated != 0:
        backing.creditable = creditable - credited
        backing.delegated -= taken - lost
        self._store_backing(operator, backing)
    ledger.stake -= taken
    unlocked: uint256 = ledger.stake - min(ledger.locked, ledger.stake)
    ledger.unbonding = min(ledger.unbonding, min(own - lost, unlocked))
    self._store_ledger(operator, ledger)
    self.total_stake -= taken
    if repaid != 0:
        self.rewards[creditor] += repaid
    self.rewards[beneficiary] += rewarded
    self.total_rewards += credited

    log IStakeVault.OperatorSlashed(
        operator=operator,
        requested=amount,
        taken=taken,
        beneficiary=beneficiary,
        rewarded=rewarded,
        creditor=creditor,
        repaid=repaid,
        burned=taken - credited,
    )

    extcall INesToken(TOKEN.address).burn(taken - credited)
    return IStakeVault.Slashed(taken=taken, repaid=repaid, rewarded=rewarded)


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
def unbonding_seconds() -> uint256:
    """
    @notice How long stake thaws and how long an ended seat stays locked; never changes.
    @return Seconds.
    """
    return UNBONDING_SECONDS


@external
@view
def seats(
    version_id: bytes32, shard: uint256, slots: DynArray[uint256, 16]
) -> DynArray[IStakeVault.Seat, 16]:
    """
    @notice Seats in the order of `slots`; vacant slots give empty seats, slots that no list can
            have revert.
    @param version_id The version, zero for oracles.
    @param shard The shard's index, 8 for oracles.
    @param slots Slot indices.
    @return One seat a slot.
    """
    seated: DynArray[IStakeVault.Seat, 16] = []
    for slot: uint256 in slots:
        seated.append(self._seat(version_id, shard, slot))
    return seated


@external
@view
def ledger(operator: address) -> IStakeVault.Ledger:
    """
    @notice An operator's stake.
    @param operator The operator.
    @return The ledger.
    """
    return self._ledger(operator)


@external
@view
def backing(operator: address) -> IStakeVault.Backing:
    """
    @notice What of an operator's stake is delegated, what is about to go, and what rewards may
            still be paid out of.
    @param operator The operator.
    @return The backing.
    """
    return self._backing(operator)


# === Internals: operators and stake ===


@internal
@view
def _check_setter():
    assert msg.sender == SETTER, "vault: not the setter"


@internal
@view
def _check_pool():
    assert msg.sender == self.delegation_pool, "vault: not the pool"


@internal
@view
def _check_summoner():
    assert msg.sender == self.summoner, "vault: not the summoner"


@internal
@view
def _check_slasher():
    assert msg.sender == self.slasher, "vault: not the slasher"


@internal
def _deposit(operator: address, amount: uint256):
    operator_book._check_operator(operator)
    assert amount != 0, "vault: nothing to deposit"

    ledger: IStakeVault.Ledger = self._ledger(operator)
    ledger.stake += amount
    self._store_ledger(operator, ledger)
    self.total_stake += amount

    log IStakeVault.StakeDeposited(operator=operator, amount=amount)

    assert extcall TOKEN.transferFrom(msg.sender, self, amount)


@internal
def _add_delegated(operator: address, amount: uint256) -> IStakeVault.Backing:
    # The caller stores what is returned.
    backing: IStakeVault.Backing = self._backing(operator)
    backing.delegated += amount
    self._deposit(operator, amount)
    return backing


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
@view
def _backing(operator: address) -> IStakeVault.Backing:
    word: uint256 = self._backings[operator]
    return IStakeVault.Backing(
        delegated=word & MASK_64,
        leaving=(word >> 64) & MASK_64,
        ending=(word >> 128) & MASK_64,
        creditable=word >> 192,
    )


@internal
def _store_backing(operator: address, backing: IStakeVault.Backing):
    # Reserved sums may outlast a slash of what they were reserved of, so they are bounded here.
    assert backing.leaving <= MASK_64, "vault: too much leaves"
    self._backings[operator] = (
        backing.delegated
        | (backing.leaving << 64)
        | (backing.ending << 128)
        | (backing.creditable << 192)
    )


@internal
@pure
def _free(ledger: IStakeVault.Ledger, backing: IStakeVault.Backing) -> uint256:
    leaving: uint256 = min(backing.leaving, backing.delegated)
    bound: uint256 = ledger.locked + ledger.unbonding + leaving
    if ledger.stake <= bound:
        return 0
    return ledger.stake - bound


@internal
@pure
def _owns(
    ledger: IStakeVault.Ledger, backing: IStakeVault.Backing, stake: uint256
) -> bool:
    # Whether what the operator owns, without what thaws, rewards whoever has this stake slashed.
    others: uint256 = backing.delegated + ledger.unbonding
    if ledger.stake < others:
        return False
    return (ledger.stake - others) * BPS >= stake * OWN_BPS


@internal
@pure
def _covers(ledger: IStakeVault.Ledger, backing: IStakeVault.Backing) -> bool:
    # Ended seats stay locked for as long as they may be needed, and ending them again helps nobody.
    needed: uint256 = ledger.locked - backing.ending
    going: uint256 = ledger.unbonding + min(backing.leaving, backing.delegated)
    return ledger.stake >= needed + going and self._owns(ledger, backing, needed)


# === Internals: seats ===


@internal
@view
def _check_facts(
    version_id: bytes32, shard: uint256, circuit_digest: bytes32, verifier_code_hash: bytes32
):
    registered_circuit: bytes32 = empty(bytes32)
    registered_code: bytes32 = empty(bytes32)
    if shard == seat_lists.ORACLE_SHARD:
        assert version_id == empty(bytes32), "vault: oracles have no version"
    else:
        registered_circuit, registered_code = staticcall REGISTRY.facts(version_id, shard)
    assert circuit_digest == registered_circuit, "vault: other circuit"
    assert verifier_code_hash == registered_code, "vault: other verifier"


@internal
@view
def _seat(version_id: bytes32, shard: uint256, slot: uint256) -> IStakeVault.Seat:
    word: uint256 = seat_lists._tenure(version_id, shard, slot)
    return IStakeVault.Seat(
        operator=operator_book.operator_at[tenure.operator_number(word)],
        signer=tenure.signer(word),
        from_epoch=tenure.from_epoch(word),
        to_epoch=tenure.to_epoch(word),
    )


@internal
def _end_seat(version_id: bytes32, shard: uint256, slot: uint256, operator: address):
    backing: IStakeVault.Backing = self._backing(operator)
    backing.ending += seat_lists._end(version_id, shard, slot, operator)
    self._store_backing(operator, backing)
