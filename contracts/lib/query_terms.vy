# pragma version ~=0.4.3
"""
@title Query Terms
@license AGPL-3.0-only
@notice What follows from the terms of a query: its hashes, its rules and the split of its fee; the
        same as `nesa.protocol.queries`, `parameters`, `fees` and `outcomes`.
"""
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket

from . import parameter_words

# Shares of one query's fee; `slot` is what each of the K * r member slots earns, `delivery` what
# is left for whoever delivers a challenged answer.
struct FeeSplit:
    slot: uint256
    oracle: uint256
    delivery: uint256
    royalty: uint256
    reviewers: uint256
    treasury: uint256

PROTOCOL_VERSION: constant(uint256) = 1
# Shards times replicas; bounds what a report can cost.
MAX_MEMBER_SLOTS: constant(uint256) = 32
# Numbers of queries are below, those of sessions of queries on shares are not.
FIRST_SESSION: constant(uint256) = 2**62
TERMS_DOMAIN: constant(bytes32) = keccak256("nesa.terms.v1")
OUTCOME_DOMAIN: constant(bytes32) = keccak256("nesa.outcome.v1")

BPS: constant(uint256) = 10_000
SEAT_COUNT_BITS: constant(uint256) = 24
SEAT_COUNT_MASK: constant(uint256) = 2**24 - 1
ROYALTY_SHIFT: constant(uint256) = 32
MASK_16: constant(uint256) = 2**16 - 1


@internal
@view
def terms_hash(query: IQueryMarket.Query) -> bytes32:
    """
    @notice Hash of a query's terms under the market that runs this.
    @param query The terms.
    @return The hash.
    """
    return keccak256(abi_encode(TERMS_DOMAIN, PROTOCOL_VERSION, chain.id, self, query))


@internal
@pure
def outcome_hash(outcome: IQueryMarket.Outcome) -> bytes32:
    """
    @notice Hash of an outcome; chain and market are in the terms hash that it holds.
    @param outcome The outcome.
    @return The hash.
    """
    return keccak256(abi_encode(OUTCOME_DOMAIN, PROTOCOL_VERSION, outcome))


@internal
@pure
def rules(query: IQueryMarket.Query) -> IProtocolParameters.QueryParameters:
    """
    @notice The parameters that a query carries, unpacked.
    @param query The terms.
    @return The parameters.
    """
    return parameter_words.unpack_query_parameters(query.parameters)


@internal
@pure
def with_royalty(parameters: uint256, royalty_bps: uint256) -> uint256:
    """
    @notice Parameters of the moment with a version's royalty in them.
    @param parameters The packed word, its royalty zero.
    @param royalty_bps The developer's share of the base fee.
    @return The packed word.
    """
    return parameters | (royalty_bps << ROYALTY_SHIFT)


@internal
@pure
def seat_count(seat_counts: uint256, shard: uint256) -> uint256:
    """
    @notice Slots that the draw of a shard runs over.
    @param seat_counts 24 bits a shard.
    @param shard The shard's index, 8 for oracles.
    @return The count.
    """
    return (seat_counts >> (SEAT_COUNT_BITS * shard)) & SEAT_COUNT_MASK


@internal
@pure
def fee(query: IQueryMarket.Query) -> uint256:
    """
    @notice Everything that is earmarked for a query.
    @param query The terms.
    @return NES units.
    """
    return query.base_fee + query.proof_fee + query.callback_fee


@internal
@view
def exposed(assurance: IQueryMarket.Assurance, fee: uint256) -> uint256:
    """
    @notice The part of a query's fee that a lying quorum could take: nobody can lie in a proof.
    @param assurance How the query is answered.
    @param fee Everything that is earmarked for it, NES units.
    @return NES units.
    """
    return 0 if assurance == IQueryMarket.Assurance.PROVED else fee


@internal
@view
def split_fee(query: IQueryMarket.Query) -> FeeSplit:
    """
    @notice Shares of a fee, each rounded down; what is left over goes to the treasury.
    @param query The terms.
    @return The shares.
    """
    word: uint256 = query.parameters
    base: uint256 = query.base_fee
    slots: uint256 = query.shards * query.replicas
    slot: uint256 = (base * (word & MASK_16) // BPS + query.proof_fee) // slots
    oracle: uint256 = base * ((word >> 16) & MASK_16) // BPS
    delivery: uint256 = 0
    if query.assurance == IQueryMarket.Assurance.CHALLENGED:
        delivery = query.callback_fee
    else:
        oracle += query.callback_fee
    royalty: uint256 = base * ((word >> ROYALTY_SHIFT) & MASK_16) // BPS
    reviewers: uint256 = base * ((word >> 48) & MASK_16) // BPS
    return FeeSplit(
        slot=slot,
        oracle=oracle,
        delivery=delivery,
        royalty=royalty,
        reviewers=reviewers,
        treasury=self.fee(query) - slot * slots - oracle - delivery - royalty - reviewers,
    )
