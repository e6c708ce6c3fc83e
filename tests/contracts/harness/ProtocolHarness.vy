# pragma version ~=0.4.3
"""
@title Protocol Harness
@license AGPL-3.0-only
@notice Opens the modules of the market and the committee to tests.
"""
from contracts.interfaces import IQueryMarket
from contracts.lib import attestation
from contracts.lib import query_terms
from contracts.lib import signature


@external
@view
def commitment(work: attestation.Work, member: address, salt: bytes32) -> bytes32:
    return attestation.commitment(work, member, salt)


@external
@view
def set_digest(work: attestation.Work, commitments: DynArray[bytes32, 8]) -> bytes32:
    return attestation.set_digest(work, commitments)


@external
@view
def attestation_hash(
    work: attestation.Work, payload_hash: bytes32, set_digest: bytes32
) -> bytes32:
    return attestation.attestation_hash(work, payload_hash, set_digest)


@external
@pure
def signer_of(digest: bytes32, r: bytes32, vs: bytes32) -> address:
    return signature.signer_of(digest, r, vs)


@external
@pure
def quorum(replicas: uint256) -> uint256:
    return attestation.quorum(replicas)


@external
@view
def terms_hash(query: IQueryMarket.Query) -> bytes32:
    return query_terms.terms_hash(query)


@external
@pure
def outcome_hash(outcome: IQueryMarket.Outcome) -> bytes32:
    return query_terms.outcome_hash(outcome)


@external
@view
def split_fee(query: IQueryMarket.Query) -> query_terms.FeeSplit:
    return query_terms.split_fee(query)


@external
@pure
def seat_count(seat_counts: uint256, shard: uint256) -> uint256:
    return query_terms.seat_count(seat_counts, shard)
