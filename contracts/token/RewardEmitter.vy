# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Reward Emitter
@license AGPL-3.0-only
@notice The only minter of NES: rewards work in proportion to what the treasury earned with it.
@dev A query's reward is a pure function of its terms and of the share of the moment, so nothing is
     counted while queries run and they cost no more gas.
@custom:invariant 1. What a query mints is below the treasury's part of its fee:
    tests/invariants/test_reward_emitter.py::RewardEmitterMachine.washing_loses
    2. No period mints more than its budget:
    tests/invariants/test_reward_emitter.py::RewardEmitterMachine.periods_keep_their_budget
    3. Credits and what was withdrawn add up to what was emitted, and nothing else is minted:
    tests/invariants/test_reward_emitter.py::RewardEmitterMachine.supply_follows_the_emission
    4. A query is rewarded once, and only when it is final:
    tests/invariants/test_reward_emitter.py::RewardEmitterMachine.only_final_queries_are_rewarded
@custom:kill No switch. Without an owner the share stays as it is.
"""
from ethereum.ercs import IERC20

from ..interfaces import IDelegationPool
from ..interfaces import INesToken
from ..interfaces import IQueryMarket
from ..interfaces import IRewardEmitter
from ..interfaces import IStakeVault

implements: IRewardEmitter

from ..lib import attestation
from ..lib import query_terms
from ..lib import version_identity

from snekmate.auth import ownable

initializes: ownable

from snekmate.auth import ownable_2step

initializes: ownable_2step[ownable := ownable]

exports: (
    ownable_2step.owner,
    ownable_2step.pending_owner,
    ownable_2step.transfer_ownership,
    ownable_2step.accept_ownership,
    ownable_2step.renounce_ownership,
)

BPS: constant(uint256) = 10_000
# At most nine tenths of what the treasury earned: washing loses at least the tenth.
MAX_SHARE_BPS: public(constant(uint256)) = 9_000
MAX_SHARDS: constant(uint256) = 8

TOKEN: immutable(INesToken)
MARKET: immutable(IQueryMarket)
VAULT: immutable(IStakeVault)
POOL: immutable(IDelegationPool)
STARTED_AT: immutable(uint256)
PERIOD_SECONDS: immutable(uint256)
# Periods after which the budget halves.
HALVING_PERIODS: immutable(uint256)
FIRST_BUDGET: immutable(uint256)

total_credit: public(uint256)
total_emitted: public(uint256)
credit_of: public(HashMap[address, uint256])
emitted_in: public(HashMap[uint256, uint256])

# A bit for each query that was rewarded, 256 a word.
_rewarded: HashMap[uint256, uint256]

# The share up to the period `_next_from`, and from it on.
_share_bps: uint256
_next_share_bps: uint256
_next_from: uint256


@deploy
def __init__(
    token: address,
    market: address,
    vault: address,
    pool: address,
    share_bps: uint256,
    period_seconds: uint256,
    halving_periods: uint256,
    first_budget: uint256,
):
    """
    @notice Binds the emitter for good; the deployer is the owner until it hands over.
    @param token NES, which has to name this contract as its minter.
    @param market The query market.
    @param vault Operators.
    @param pool Delegations to operators.
    @param share_bps Part of the treasury's fees that is minted on top.
    @param period_seconds Length of a period.
    @param halving_periods Periods after which the budget halves.
    @param first_budget NES units of the first period; all budgets together fit under the cap.
    """
    assert period_seconds != 0, "emitter: no period"
    assert halving_periods != 0, "emitter: no halving"
    # Each half-life mints half of the one before, so all of them twice the first.
    supply: uint256 = staticcall IERC20(token).totalSupply()
    room: uint256 = staticcall INesToken(token).cap() - supply
    assert first_budget * halving_periods * 2 <= room, "emitter: budgets over the cap"
    ownable.__init__()
    ownable_2step.__init__()

    TOKEN = INesToken(token)
    MARKET = IQueryMarket(market)
    VAULT = IStakeVault(vault)
    POOL = IDelegationPool(pool)
    STARTED_AT = block.timestamp
    PERIOD_SECONDS = period_seconds
    HALVING_PERIODS = halving_periods
    FIRST_BUDGET = first_budget
    self._announce_share(share_bps, 0)

    # For the delegators' parts, which this contract has only while it hands them on.
    assert extcall IERC20(token).approve(pool, max_value(uint256))


# === Owner ===


@external
def set_share(share_bps: uint256):
    """
    @notice Sets the part of the treasury's fees that is minted on top from the next period on.
    """
    ownable._check_owner()
    self._share_bps = self._current_share()
    self._announce_share(share_bps, self._period() + 1)


# === Everybody ===


@external
def reward(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    members: DynArray[DynArray[address, 8], MAX_SHARDS],
    developer: address,
    root: bytes32,
) -> uint256:
    """
    @notice Credits new NES to everybody whom a final query's fee paid.
    """
    self._check_final(query, outcome)
    version_id: bytes32 = version_identity.version_id(developer, root)
    assert version_id == query.version_id, "emitter: other version"
    assert len(members) == query.shards, "emitter: wrong member lists"
    self._mark_rewarded(query.query_id)

    split: query_terms.FeeSplit = query_terms.split_fee(query)
    pot: uint256 = self._pot(split.treasury)
    # What the fee pays to work in all; the pot is divided alike.
    paid: uint256 = split.slot * query.shards * query.replicas + split.oracle + split.royalty
    assert paid != 0, "emitter: nobody was paid"
    amount: uint256 = self._credit_members(outcome, members, pot * split.slot // paid)
    amount += self._credit(self._account_of(outcome.reporter), pot * split.oracle // paid)
    amount += self._credit(developer, pot * split.royalty // paid)
    # Nobody may use a query up while the share or the budget is zero.
    assert amount != 0, "emitter: nothing to reward"
    self._book(amount)

    log IRewardEmitter.WorkRewarded(
        query_id=query.query_id,
        period=self._period(),
        treasury_fee=split.treasury,
        amount=amount,
    )
    return amount


@external
def withdraw(account: address) -> uint256:
    """
    @notice Mints an account what it was credited, its delegators' part to them.
    """
    amount: uint256 = self.credit_of[account]
    assert amount != 0, "emitter: nothing to withdraw"
    self.credit_of[account] = 0
    self.total_credit -= amount
    part: uint256 = staticcall POOL.delegators_part(account, amount)
    log IRewardEmitter.EmissionWithdrawn(
        account=account, amount=amount - part, delegators_part=part
    )

    extcall TOKEN.mint(account, amount - part)
    if part != 0:
        extcall TOKEN.mint(self, part)
        extcall POOL.add_rewards(account, part)
    return amount


# === Views ===


@external
@view
def is_rewarded(query_id: uint256) -> bool:
    """
    @notice Whether a query's work was rewarded.
    """
    return (self._rewarded[query_id // 256] >> (query_id % 256)) & 1 == 1


@external
@view
def share_bps() -> uint256:
    """
    @notice Which part of the treasury's fees is minted on top in this period.
    """
    return self._current_share()


@external
@view
def period() -> uint256:
    """
    @notice The current period, counted from the deployment.
    """
    return self._period()


@external
@view
def budget_of(period: uint256) -> uint256:
    """
    @notice The most that a period mints.
    """
    return self._budget(period)


# === Internals ===


@internal
@view
def _check_final(query: IQueryMarket.Query, outcome: IQueryMarket.Outcome):
    # Final answers cannot be overturned any more, so the treasury keeps its part of the fee.
    status: IQueryMarket.QueryStatus = staticcall MARKET.status_of(query.query_id)
    assert status == IQueryMarket.QueryStatus.FINAL, "emitter: not final"
    kept: bool = staticcall MARKET.verify_outcome(query, outcome)
    assert kept, "emitter: other outcome"


@internal
def _mark_rewarded(query_id: uint256):
    word: uint256 = self._rewarded[query_id // 256]
    bit: uint256 = 1 << (query_id % 256)
    assert word & bit == 0, "emitter: rewarded before"
    self._rewarded[query_id // 256] = word | bit


@internal
@view
def _pot(treasury_fee: uint256) -> uint256:
    # One query's pot never exceeds a whole budget, so every query can be rewarded in some period.
    return min(treasury_fee * self._current_share() // BPS, self._budget(self._period()))


@internal
def _credit_members(
    outcome: IQueryMarket.Outcome,
    members: DynArray[DynArray[address, 8], MAX_SHARDS],
    each: uint256,
) -> uint256:
    amount: uint256 = 0
    for i: uint256 in range(len(members), bound=MAX_SHARDS):
        signers: DynArray[address, 8] = members[i]
        digest: bytes32 = attestation.members_digest(signers)
        assert digest == outcome.shards[i].members_digest, "emitter: other members"
        paid: uint256 = outcome.shards[i].paid
        for signer: address in signers:
            if paid & 1 == 1:
                amount += self._credit(self._account_of(signer), each)
            paid >>= 1
    return amount


@internal
@view
def _account_of(signer: address) -> address:
    operator: address = staticcall VAULT.operator_of(signer)
    return signer if operator == empty(address) else operator


@internal
def _credit(account: address, amount: uint256) -> uint256:
    self.credit_of[account] += amount
    return amount


@internal
def _book(amount: uint256):
    # Whoever finds too little left waits for the next period; nothing is lost.
    period: uint256 = self._period()
    emitted: uint256 = self.emitted_in[period] + amount
    assert emitted <= self._budget(period), "emitter: budget is spent"
    self.emitted_in[period] = emitted
    self.total_emitted += amount
    self.total_credit += amount


@internal
@view
def _period() -> uint256:
    return (block.timestamp - STARTED_AT) // PERIOD_SECONDS


@internal
@view
def _budget(period: uint256) -> uint256:
    halvings: uint256 = period // HALVING_PERIODS
    return 0 if halvings > 255 else FIRST_BUDGET >> halvings


@internal
@view
def _current_share() -> uint256:
    if self._period() < self._next_from:
        return self._share_bps
    return self._next_share_bps


@internal
def _announce_share(share_bps: uint256, from_period: uint256):
    assert share_bps <= MAX_SHARE_BPS, "emitter: share too large"
    self._next_share_bps = share_bps
    self._next_from = from_period
    log IRewardEmitter.ShareAnnounced(share_bps=share_bps, from_period=from_period)
