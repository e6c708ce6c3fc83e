# pragma version ~=0.4.3
"""
@title Pricing
@license AGPL-3.0-only
@notice What an order costs, whether it is offered, and the terms that it becomes.
"""
from ..interfaces import IModelRegistry
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket
from ..interfaces import IStakeVault

from . import attestation
from . import credit_book
from . import edge_type
from . import parameter_words
from . import query_terms

uses: credit_book

# The terms of an order and what is needed of its version to read the input.
struct Ordered:
    query: IQueryMarket.Query
    input_edge: bytes32

BPS: constant(uint256) = 10_000
# Unit of gas that the callback price is for.
GAS_UNIT: constant(uint256) = 1_000
MAX_OUTPUT_BYTES: constant(uint256) = 1_024
MIN_REPLICAS: constant(uint256) = 3
MAX_PROVED_SHARDS: constant(uint256) = 4

PARAMETERS: immutable(IProtocolParameters)
REGISTRY: immutable(IModelRegistry)
VAULT: immutable(IStakeVault)
EPOCH_SECONDS: immutable(uint256)


@deploy
def __init__(parameters: IProtocolParameters, registry: IModelRegistry, vault: IStakeVault):
    """
    @notice Binds the module to what prices are made of.
    @param parameters Protocol parameters.
    @param registry Versions of models.
    @param vault Operators and seats.
    """
    PARAMETERS = parameters
    REGISTRY = registry
    VAULT = vault
    EPOCH_SECONDS = staticcall vault.epoch_seconds()


@internal
@view
def _ordered(order: IQueryMarket.Order) -> Ordered:
    # The terms of an order but for its number and its input.
    self._check_offered(order)
    offer: IModelRegistry.Offer = staticcall REGISTRY.offer(order.version_id)
    parameters: uint256 = 0
    limits_word: uint256 = 0
    parameters, limits_word = staticcall PARAMETERS.request_terms()
    limits: IProtocolParameters.RequestLimits = parameter_words.unpack_request_limits(limits_word)
    self._check_order(order, offer, limits)
    rules: IProtocolParameters.QueryParameters = parameter_words.unpack_query_parameters(
        parameters
    )
    # A sealed answer is a ciphertext, whose length only its members know.
    if order.privacy == IQueryMarket.Privacy.OPEN:
        length: uint256 = edge_type.byte_length(offer.output_edge)
        assert length <= MAX_OUTPUT_BYTES, "market: output too large"
    disputable: bool = rules.dispute_window <= credit_book.CREDIT_WINDOW
    assert disputable, "market: dispute outlasts credit"

    query: IQueryMarket.Query = IQueryMarket.Query(
        query_id=0,
        requester=msg.sender,
        version_id=order.version_id,
        input_digest=order.input_digest,
        output_edge=offer.output_edge,
        assurance=order.assurance,
        privacy=order.privacy,
        shards=offer.shards,
        replicas=order.replicas,
        base_fee=offer.price * offer.shards * order.replicas,
        proof_fee=self._proof_fee(order, offer),
        callback_fee=limits.callback_price * order.callback_gas // GAS_UNIT,
        callback_gas=order.callback_gas,
        epoch=block.timestamp // EPOCH_SECONDS,
        seat_counts=staticcall VAULT.request_snapshot(
            order.version_id, offer.shards, max(limits.min_seats, order.replicas)
        ),
        parameters=query_terms.with_royalty(parameters, offer.royalty_bps),
        opened_at=block.timestamp,
        answer_deadline=block.timestamp + rules.answer_window,
        attempt=0,
        seed_block=block.number + 1,
    )
    self._check_exposure(query, limits)
    return Ordered(query=query, input_edge=offer.input_edge)


@internal
@view
def _check_offered(order: IQueryMarket.Order):
    # Compared one by one, for a caller can set several flags at once.
    agreed: bool = order.assurance == IQueryMarket.Assurance.AGREED
    proved: bool = order.assurance == IQueryMarket.Assurance.PROVED
    open: bool = order.privacy == IQueryMarket.Privacy.OPEN
    sealed: bool = order.privacy == IQueryMarket.Privacy.SEALED
    assert (agreed and (open or sealed)) or (proved and open), "market: not offered yet"


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
def _check_exposure(
    query: IQueryMarket.Query, limits: IProtocolParameters.RequestLimits
):
    # What is exposed never exceeds what the seats of a lying quorum could repay.
    repayable: uint256 = limits.seat_stake * attestation.quorum(query.replicas)
    cap: uint256 = repayable * limits.exposure_bps // BPS
    exposed: uint256 = query_terms.exposed(query)
    fits: bool = credit_book._open_fees(query.version_id) + exposed <= cap
    assert exposed == 0 or fits, "market: exposure cap"
