# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Delegation Pool
@license AGPL-3.0-only
@notice Keeps shares of the stake that is delegated to operators; the stake itself lies in the
        vault, which slashes it there.
@dev A pool is worth what the vault says is delegated, never a balance, so nobody moves a price by
     a transfer. Virtual shares and one virtual unit make it dear to move it by rewards: whoever
     inflates the price of few shares gives most of it to nobody.
@custom:invariant 1. Shares are worth no more than what is delegated, in every order of exits:
    tests/invariants/test_delegation_pool.py::DelegationPoolMachine.shares_are_covered
    2. The pool itself keeps no NES, and the vault owes what was delegated:
    tests/invariants/test_delegation_pool.py::DelegationPoolMachine.delegations_lie_in_the_vault
    3. No action of somebody else lowers what a delegator's shares are worth, but for a slash:
    tests/invariants/test_delegation_pool.py::DelegationPoolMachine.only_slashes_lower_a_share
@custom:kill No switch. Nothing pauses an exit.
"""
from ethereum.ercs import IERC20

from ..interfaces import IDelegationPool
from ..interfaces import IStakeVault

implements: IDelegationPool

BPS: constant(uint256) = 10_000
MAX_COMMISSION_BPS: public(constant(uint256)) = 5_000

# Shares that belong to nobody; they back one unit that does not exist.
VIRTUAL_SHARES: constant(uint256) = 10**6
# A pool with more shares a unit was slashed to less than a millionth: new shares would outgrow it.
MAX_SHARES_A_UNIT: constant(uint256) = 10**12

TOKEN: immutable(IERC20)
VAULT: immutable(IStakeVault)
UNBONDING_SECONDS: immutable(uint256)
NOTICE_SECONDS: immutable(uint256)

total_shares: public(HashMap[address, uint256])
shares_of: public(HashMap[address, HashMap[address, uint256]])
exit_of: public(HashMap[address, HashMap[address, IDelegationPool.Exit]])
commissions: public(HashMap[address, IDelegationPool.Commission])


@deploy
def __init__(token: address, vault: address):
    """
    @notice Binds the pools to one vault, which has to name this contract.
    @param token NES.
    @param vault The stake vault.
    """
    TOKEN = IERC20(token)
    VAULT = IStakeVault(vault)
    UNBONDING_SECONDS = staticcall VAULT.unbonding_seconds()
    # Whoever hears of a raise at once is out before it.
    NOTICE_SECONDS = UNBONDING_SECONDS + 2 * staticcall VAULT.epoch_seconds()

    assert extcall TOKEN.approve(vault, max_value(uint256))


# === Operators ===


@external
def announce_commission(bps: uint256):
    """
    @notice States what the calling operator keeps of its delegators' rewards.
    """
    number: uint256 = staticcall VAULT.operator_number(msg.sender)
    assert number != 0, "delegation: not an operator"
    assert bps <= MAX_COMMISSION_BPS, "delegation: commission too large"

    current: uint256 = self._commission(msg.sender)
    changes_at: uint256 = block.timestamp
    if self.commissions[msg.sender].is_set and bps > current:
        changes_at += NOTICE_SECONDS
    self.commissions[msg.sender] = IDelegationPool.Commission(
        is_set=True, bps=current, next_bps=bps, changes_at=changes_at
    )
    log IDelegationPool.CommissionAnnounced(
        operator=msg.sender, bps=bps, changes_at=changes_at
    )


# === Delegators ===


@external
@nonreentrant
def delegate(operator: address, amount: uint256, min_shares: uint256) -> uint256:
    """
    @notice Delegates the caller's NES to an operator.
    """
    assert self.commissions[operator].is_set, "delegation: no commission is set"
    assets: uint256 = self._assets(operator)
    total: uint256 = self.total_shares[operator]
    assert total <= (assets + 1) * MAX_SHARES_A_UNIT, "delegation: pool is ruined"
    shares: uint256 = amount * (total + VIRTUAL_SHARES) // (assets + 1)
    assert shares != 0, "delegation: less than a share"
    assert shares >= min_shares, "delegation: too few shares"

    self.total_shares[operator] = total + shares
    self.shares_of[operator][msg.sender] += shares
    log IDelegationPool.Delegated(
        operator=operator, delegator=msg.sender, amount=amount, shares=shares
    )

    self._pull(amount)
    extcall VAULT.delegate(operator, amount)
    return shares


@external
@nonreentrant
def begin_exit(operator: address, shares: uint256) -> uint256:
    """
    @notice Begins to withdraw shares.
    """
    held: uint256 = self.shares_of[operator][msg.sender]
    assert shares <= held, "delegation: not so many shares"
    amount: uint256 = self._value(operator, shares)
    assert amount != 0, "delegation: worth nothing"

    self.shares_of[operator][msg.sender] = held - shares
    leaving: IDelegationPool.Exit = self.exit_of[operator][msg.sender]
    leaving.shares += shares
    leaving.amount += amount
    leaving.ready_at = block.timestamp + UNBONDING_SECONDS
    self.exit_of[operator][msg.sender] = leaving
    log IDelegationPool.ExitBegun(
        operator=operator,
        delegator=msg.sender,
        shares=shares,
        amount=amount,
        ready_at=leaving.ready_at,
    )

    extcall VAULT.begin_undelegation(operator, amount)
    return amount


@external
@nonreentrant
def cancel_exit(operator: address):
    """
    @notice Makes the caller's leaving shares stay.
    """
    leaving: IDelegationPool.Exit = self.exit_of[operator][msg.sender]
    assert leaving.shares != 0, "delegation: nothing leaves"
    # Worth what a withdrawal would pay: an exit that could be cancelled for more would earn rewards
    # and be ready for ever.
    amount: uint256 = min(leaving.amount, self._value(operator, leaving.shares))
    staying: uint256 = self.total_shares[operator] - leaving.shares
    bought: uint256 = (
        amount * (staying + VIRTUAL_SHARES) // (self._assets(operator) - amount + 1)
    )
    shares: uint256 = min(leaving.shares, bought)
    assert shares != 0, "delegation: exit buys no share"

    self.exit_of[operator][msg.sender] = empty(IDelegationPool.Exit)
    self.total_shares[operator] = staying + shares
    self.shares_of[operator][msg.sender] += shares
    log IDelegationPool.ExitCancelled(
        operator=operator, delegator=msg.sender, shares=shares
    )

    extcall VAULT.cancel_undelegation(operator, leaving.amount)


@external
@nonreentrant
def withdraw(operator: address, delegator: address) -> uint256:
    """
    @notice Pays a delegator the shares whose exit is over.
    """
    leaving: IDelegationPool.Exit = self.exit_of[operator][delegator]
    assert leaving.shares != 0, "delegation: no exit"
    assert block.timestamp >= leaving.ready_at, "delegation: still unbonding"
    # What rewards added meanwhile stays with those who stay.
    amount: uint256 = min(leaving.amount, self._value(operator, leaving.shares))

    self.exit_of[operator][delegator] = empty(IDelegationPool.Exit)
    self.total_shares[operator] -= leaving.shares
    log IDelegationPool.DelegationWithdrawn(
        operator=operator, delegator=delegator, shares=leaving.shares, amount=amount
    )

    extcall VAULT.undelegate(operator, leaving.amount, amount)
    assert extcall TOKEN.transfer(delegator, amount)
    return amount


# === Rewards ===


@external
@nonreentrant
def add_rewards(operator: address, amount: uint256):
    """
    @notice Stakes NES of the caller for all delegators of an operator.
    """
    assert self.total_shares[operator] != 0, "delegation: no delegators"
    log IDelegationPool.RewardsAdded(operator=operator, amount=amount)

    self._pull(amount)
    extcall VAULT.reward_delegators(operator, amount)


# === Views ===


@external
@view
def delegators_part(operator: address, amount: uint256) -> uint256:
    """
    @notice What belongs to the delegators when an operator earns new NES.
    """
    if self.total_shares[operator] == 0:
        return 0
    stake: uint256 = (staticcall VAULT.ledger(operator)).stake
    if stake == 0:
        return 0
    part: uint256 = amount * self._assets(operator) // stake
    return part * (BPS - self._commission(operator)) // BPS


@external
@view
def value_of(operator: address, shares: uint256) -> uint256:
    """
    @notice What shares of an operator's pool are worth now.
    """
    return self._value(operator, shares)


@external
@view
def commission_of(operator: address) -> uint256:
    """
    @notice What an operator keeps of its delegators' rewards now.
    """
    return self._commission(operator)


# === Internals ===


@internal
@view
def _assets(operator: address) -> uint256:
    return (staticcall VAULT.backing(operator)).delegated


@internal
@view
def _value(operator: address, shares: uint256) -> uint256:
    # Rounded down, in favour of those who stay.
    total: uint256 = self.total_shares[operator] + VIRTUAL_SHARES
    return shares * (self._assets(operator) + 1) // total


@internal
@view
def _commission(operator: address) -> uint256:
    commission: IDelegationPool.Commission = self.commissions[operator]
    if block.timestamp < commission.changes_at:
        return commission.bps
    return commission.next_bps


@internal
def _pull(amount: uint256):
    assert extcall TOKEN.transferFrom(msg.sender, self, amount)
