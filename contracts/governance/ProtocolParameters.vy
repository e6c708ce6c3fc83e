# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Protocol Parameters
@license AGPL-3.0-only
@notice The bounded knobs of governance, packed into two words that every request reads.
@dev A query carries the words of its request, so a change reaches later requests only.
@custom:invariant 1. Shares, the greatest royalty included, never exceed the whole:
    tests/contracts/governance/test_set_query_parameters.py::test_shares_over_the_whole_revert
    2. No query outlives `maximum_query_seconds`:
    tests/contracts/governance/test_set_query_parameters.py::test_windows_past_the_maximum_revert
@custom:kill No switch. Without an owner the parameters stay as they are.
"""
from ..interfaces import IProtocolParameters

implements: IProtocolParameters

from ..lib import parameter_words

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
MAX_ROYALTY_BPS: constant(uint256) = 2_000

# Turns and windows.
MAX_TURN: constant(uint256) = 2**16 - 1  # seconds, what the field holds
MAX_TURNS: constant(uint256) = 8
MAX_QUERY_SECONDS: constant(uint256) = 90 * 86_400
MAX_DISPUTE_CLOCK: constant(uint256) = 2**24 - 1  # seconds, what the field holds

# Requests.
MAX_CALLBACK_PRICE: constant(uint256) = 2**32 - 1  # 4.3 NES for 1,000 gas
MAX_CALLBACK_GAS: constant(uint256) = 5_000_000
MAX_MIN_SEATS: constant(uint256) = 64  # as many as a list holds
MAX_SEAT_STAKE: constant(uint256) = 10**16  # 10**7 NES
MAX_EXPOSURE_BPS: constant(uint256) = 10_000
MAX_REPLICAS: constant(uint256) = 8

MAXIMUM_QUERY_SECONDS: immutable(uint256)

# `QueryParameters` and `RequestLimits` packed, first field in the lowest bits.
_query_parameters: uint256
_request_limits: uint256

# Who is credited the treasury's and the reviewers' shares.
treasury: public(address)
reviewer_pool: public(address)


@deploy
def __init__(
    parameters: IProtocolParameters.QueryParameters,
    limits: IProtocolParameters.RequestLimits,
    treasury: address,
    reviewer_pool: address,
    maximum_query_seconds: uint256,
):
    """
    @notice Sets a whole profile; the deployer is the owner until it hands over.
    @param parameters Rules that queries carry.
    @param limits What requests are held to.
    @param treasury Who is credited the treasury's shares.
    @param reviewer_pool Who is credited the reviewers' shares.
    @param maximum_query_seconds Bound of the windows' sum for good.
    """
    assert maximum_query_seconds <= MAX_QUERY_SECONDS, "parameters: maximum too long"
    ownable.__init__()
    ownable_2step.__init__()

    MAXIMUM_QUERY_SECONDS = maximum_query_seconds
    self._set_query_parameters(parameters)
    self._set_request_limits(limits)
    self._set_treasury(treasury)
    self._set_reviewer_pool(reviewer_pool)


# === Owner ===


@external
def set_query_parameters(parameters: IProtocolParameters.QueryParameters):
    """
    @notice Sets shares, turns and windows of later queries.
    @dev Only the owner.
    @param parameters Within the bounds that this contract states.
    """
    ownable._check_owner()
    self._set_query_parameters(parameters)


@external
def set_request_limits(limits: IProtocolParameters.RequestLimits):
    """
    @notice Sets what later requests and later seats are held to.
    @dev Only the owner.
    @param limits Within the bounds that this contract states.
    """
    ownable._check_owner()
    self._set_request_limits(limits)


@external
def set_treasury(treasury: address):
    """
    @notice Sets who is credited the treasury's shares from now on.
    @dev Only the owner.
    @param treasury Not zero.
    """
    ownable._check_owner()
    self._set_treasury(treasury)


@external
def set_reviewer_pool(reviewer_pool: address):
    """
    @notice Sets who is credited the reviewers' shares from now on.
    @dev Only the owner.
    @param reviewer_pool Not zero.
    """
    ownable._check_owner()
    self._set_reviewer_pool(reviewer_pool)


# === Views ===


@external
@view
def request_terms() -> (uint256, uint256):
    """
    @notice Both packed words, for the market and the vault.
    @return The packed query parameters and the packed request limits.
    """
    return self._query_parameters, self._request_limits


@external
@view
def query_parameters() -> IProtocolParameters.QueryParameters:
    """
    @notice The parameters of later queries, unpacked.
    @return The parameters.
    """
    return parameter_words.unpack_query_parameters(self._query_parameters)


@external
@view
def request_limits() -> IProtocolParameters.RequestLimits:
    """
    @notice The limits of later requests, unpacked.
    @return The limits.
    """
    return parameter_words.unpack_request_limits(self._request_limits)


@external
@view
def maximum_query_seconds() -> uint256:
    """
    @notice Upper bound of the time from a request to the end of its last window, whatever
            governance sets. The market opens no attempt that would pass it; unbonding is longer.
    @return Seconds; never changes.
    """
    return MAXIMUM_QUERY_SECONDS


# === Internals ===


@internal
def _set_query_parameters(new: IProtocolParameters.QueryParameters):
    assert new.royalty_bps == 0, "parameters: royalty not zero"
    shares: uint256 = new.miners_bps + new.oracle_bps + new.reviewers_bps
    assert shares + MAX_ROYALTY_BPS <= BPS, "parameters: shares too large"
    self._check_turns(new.oracle_turn, new.oracle_turns, new.answer_window)
    self._check_turns(new.prover_turn, new.prover_turns, new.answer_window)
    assert new.claim_window != 0, "parameters: no claim window"
    assert new.dispute_window != 0, "parameters: no dispute window"
    assert new.defence_window != 0, "parameters: no defence window"
    assert new.move_window != 0, "parameters: no move window"
    clock: uint256 = max(new.defence_window, new.move_window)
    assert clock <= MAX_DISPUTE_CLOCK, "parameters: clock too long"
    windows: uint256 = new.answer_window + new.claim_window + new.dispute_window
    assert windows <= MAXIMUM_QUERY_SECONDS, "parameters: windows too long"

    self._query_parameters = parameter_words.pack_query_parameters(new)
    log IProtocolParameters.QueryParametersChanged(parameters=new)


@internal
@pure
def _check_turns(turn: uint256, turns: uint256, answer_window: uint256):
    assert turn != 0 and turns != 0, "parameters: no turn"
    assert turn <= MAX_TURN and turns <= MAX_TURNS, "parameters: turns out of bounds"
    assert turn * turns <= answer_window, "parameters: turns outlast answer"


@internal
def _set_request_limits(new: IProtocolParameters.RequestLimits):
    assert new.callback_price <= MAX_CALLBACK_PRICE, "parameters: callback price"
    assert new.max_callback_gas <= MAX_CALLBACK_GAS, "parameters: callback gas"
    assert new.min_seats != 0, "parameters: no minimum of seats"
    assert new.min_seats <= MAX_MIN_SEATS, "parameters: too many seats"
    assert new.seat_stake != 0, "parameters: no seat stake"
    assert new.seat_stake <= MAX_SEAT_STAKE, "parameters: seat stake too large"
    assert new.exposure_bps != 0, "parameters: no exposure"
    assert new.exposure_bps <= MAX_EXPOSURE_BPS, "parameters: exposure too large"
    assert new.max_replicas != 0, "parameters: no replicas"
    assert new.max_replicas <= MAX_REPLICAS, "parameters: too many replicas"
    assert new.challenger_bond_bps != 0, "parameters: no challenger bond"
    assert new.challenger_bond_bps <= BPS, "parameters: bond too large"
    assert new.defence_penalty_bps != 0, "parameters: no defence penalty"
    assert new.defence_penalty_bps <= BPS, "parameters: penalty too large"

    self._request_limits = parameter_words.pack_request_limits(new)
    log IProtocolParameters.RequestLimitsChanged(limits=new)


@internal
def _set_treasury(treasury: address):
    assert treasury != empty(address), "parameters: no treasury"
    self.treasury = treasury
    log IProtocolParameters.TreasuryChanged(treasury=treasury)


@internal
def _set_reviewer_pool(reviewer_pool: address):
    assert reviewer_pool != empty(address), "parameters: no reviewer pool"
    self.reviewer_pool = reviewer_pool
    log IProtocolParameters.ReviewerPoolChanged(reviewer_pool=reviewer_pool)
