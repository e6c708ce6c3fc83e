# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Pricing
@license AGPL-3.0-only
@notice What an order costs, whether it is offered, and the terms that it becomes; see `IPricing`.
@custom:invariant 1. Open fees of a version stay within what a lying quorum's seats repay:
    tests/contracts/market/test_request.py::test_past_what_the_seats_could_repay_reverts
@custom:kill No switch and no state; a market without it takes no orders and answers all it has.
"""
from ..interfaces import IModelRegistry
from ..interfaces import IPricing
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket
from ..interfaces import IStakeVault

implements: IPricing

from ..lib import attestation
from ..lib import parameter_words
from ..lib import query_terms

MAX_ATTEMPTS: constant(uint256) = 3
BPS: constant(uint256) = 10_000
# Unit of gas that the callback price is for.
GAS_UNIT: constant(uint256) = 1_000
# A CHALLENGED answer is delivered by a transaction of its own, which takes less than this besides
# the callback, and is paid by the same price.
DELIVERY_GAS: public(constant(uint256)) = 100_000
MIN_REPLICAS: constant(uint256) = 3
MAX_PROVED_SHARDS: constant(uint256) = 4

PARAMETERS: immutable(IProtocolParameters)
REGISTRY: immutable(IModelRegistry)
VAULT: immutable(IStakeVault)
EPOCH_SECONDS: immutable(uint256)
# From the start of a query's epoch; seats are kept for that long.
MAXIMUM_QUERY_SECONDS: immutable(uint256)


@deploy
def __init__(parameters: IProtocolParameters, registry: IModelRegistry, vault: IStakeVault):
    """
    @notice Binds the contract to what prices are made of, for good.
    @param parameters Protocol parameters.
    @param registry Versions of models.
    @param vault Operators and seats.
    """
    PARAMETERS = parameters
    REGISTRY = registry
    VAULT = vault
    EPOCH_SECONDS = staticcall vault.epoch_seconds()
    MAXIMUM_QUERY_SECONDS = staticcall parameters.maximum_query_seconds()


@external
@view
def terms(
    order: IQueryMarket.Order, requester: address
) -> (IQueryMarket.Query, bytes32, uint256):
    """
    @notice The terms that an order would become now; see `IPricing`.
    """
    self._check_offered(order)
    offer: IModelRegistry.Offer = staticcall REGISTRY.offer(order.version_id)
    parameters: uint256 = 0
    limits_word: uint256 = 0
    parameters, limits_word = staticcall PARAMETERS.request_terms()
    limits: IProtocolParameters.RequestLimits = parameter_words.unpack_request_limits(limits_word)
    self._check_order(order, offer, limits)

    query: IQueryMarket.Query = IQueryMarket.Query(
        query_id=0,
        requester=requester,
        version_id=order.version_id,
        input_digest=order.input_digest,
        output_edge=offer.output_edge,
        assurance=order.assurance,
        privacy=order.privacy,
        shards=offer.shards,
        replicas=order.replicas,
        base_fee=offer.price * offer.shards * order.replicas,
        proof_fee=self._proof_fee(order, offer),
        callback_fee=self._callback_fee(order, limits.callback_price),
        callback_gas=order.callback_gas,
        epoch=block.timestamp // EPOCH_SECONDS,
        seat_counts=staticcall VAULT.request_snapshot(
            order.version_id, offer.shards, max(limits.min_seats, order.replicas)
        ),
        parameters=query_terms.with_royalty(parameters, offer.royalty_bps),
        opened_at=block.timestamp,
        answer_deadline=block.timestamp + parameter_words.answer_window(parameters),
        attempt=0,
        seed_block=block.number + 1,
    )
    return query, offer.input_edge, self._exposure_cap(order, limits)


@external
@view
def retried(query: IQueryMarket.Query) -> IQueryMarket.Query:
    """
    @notice The terms of another attempt of a query; see `IPricing`.
    """
    assert query.attempt + 1 < MAX_ATTEMPTS, "market: no attempt left"
    rules: IProtocolParameters.QueryParameters = query_terms.rules(query)
    again: IQueryMarket.Query = query
    again.attempt += 1
    again.opened_at = block.timestamp
    again.answer_deadline = block.timestamp + rules.answer_window
    again.seed_block = block.number + 1

    # The last window of an answer in the last moment must close while the seats are still there.
    ends_by: uint256 = again.answer_deadline + max(rules.claim_window, rules.dispute_window)
    seated_until: uint256 = query.epoch * EPOCH_SECONDS + MAXIMUM_QUERY_SECONDS
    assert ends_by <= seated_until, "market: too late to retry"
    return again


@internal
@view
def _check_offered(order: IQueryMarket.Order):
    # Compared one by one, for a caller can set several flags at once.
    shown: bool = order.privacy == IQueryMarket.Privacy.OPEN
    shown = shown or order.privacy == IQueryMarket.Privacy.SEALED
    assured: bool = order.assurance == IQueryMarket.Assurance.AGREED
    assured = assured or order.assurance == IQueryMarket.Assurance.CHALLENGED
    assured = assured or order.assurance == IQueryMarket.Assurance.PROVED
    assert shown and assured, "market: not offered yet"


@internal
@view
def _check_order(
    order: IQueryMarket.Order,
    offer: IModelRegistry.Offer,
    limits: IProtocolParameters.RequestLimits,
):
    if order.assurance == IQueryMarket.Assurance.PROVED:
        assert order.replicas == 1, "market: one prover"
        assert offer.provable, "market: not provable"
        if order.privacy == IQueryMarket.Privacy.SEALED:
            assert offer.hashed, "market: proofs show the input"
        else:
            assert not offer.hashed, "market: proofs hide the input"
        assert offer.shards <= MAX_PROVED_SHARDS, "market: too many shards"
    else:
        assert order.replicas >= MIN_REPLICAS, "market: too few replicas"
        assert order.replicas <= limits.max_replicas, "market: too many replicas"
    slots: uint256 = offer.shards * order.replicas
    assert slots <= query_terms.MAX_MEMBER_SLOTS, "market: too many member slots"
    assert order.callback_gas <= limits.max_callback_gas, "market: too much callback gas"


@internal
@view
def _proof_fee(order: IQueryMarket.Order, offer: IModelRegistry.Offer) -> uint256:
    if order.assurance == IQueryMarket.Assurance.PROVED:
        return offer.proof_price * offer.shards
    return 0


@internal
@view
def _callback_fee(order: IQueryMarket.Order, price: uint256) -> uint256:
    # Where nothing is called nobody else has a reason to deliver, so that it is not paid for.
    gas: uint256 = order.callback_gas
    if gas != 0 and order.assurance == IQueryMarket.Assurance.CHALLENGED:
        gas += DELIVERY_GAS
    return price * gas // GAS_UNIT


@internal
@view
def _exposure_cap(
    order: IQueryMarket.Order, limits: IProtocolParameters.RequestLimits
) -> uint256:
    # What the seats of a lying quorum could repay; nobody can lie in a proof.
    if order.assurance == IQueryMarket.Assurance.PROVED:
        return max_value(uint256)
    repayable: uint256 = limits.seat_stake * attestation.quorum(order.replicas)
    return repayable * limits.exposure_bps // BPS
