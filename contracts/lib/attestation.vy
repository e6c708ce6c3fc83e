# pragma version ~=0.4.3
"""
@title Attestation
@license AGPL-3.0-only
@notice What members of a committee commit to, lock and attest; the same as
        `nesa.protocol.commitments`.
"""

from . import signature

# Everything that the members of one shard agree on. `seed` is the hash of the seed block.
struct Work:
    market: address
    query_id: uint256
    attempt: uint256
    seed: bytes32
    shard: uint256
    round: uint256
    in_digest: bytes32
    out_digest: bytes32

PROTOCOL_VERSION: constant(uint256) = 1

COMMITMENT_DOMAIN: constant(bytes32) = keccak256("nesa.commitment.v1")
SET_DOMAIN: constant(bytes32) = keccak256("nesa.commitment-set.v1")

ATTESTATION_TYPE: constant(bytes32) = keccak256(
    "Attestation(uint256 queryId,uint256 attempt,uint256 shard,uint256 round,bytes32 inDigest,bytes32 outDigest,bytes32 payloadHash,bytes32 setDigest)"
)


@internal
@view
def commitment(work: Work, member: address, salt: bytes32) -> bytes32:
    """
    @notice A member's hidden result.
    @param work What the member worked on, with its result.
    @param member The member's signer.
    @param salt 32 random bytes.
    @return The commitment.
    """
    return keccak256(
        abi_encode(
            COMMITMENT_DOMAIN,
            PROTOCOL_VERSION,
            chain.id,
            work.market,
            work.query_id,
            work.attempt,
            work.seed,
            work.shard,
            work.round,
            member,
            work.in_digest,
            work.out_digest,
            salt,
        )
    )


@internal
@view
def set_digest(work: Work, commitments: DynArray[bytes32, 8]) -> bytes32:
    """
    @notice Digest of one set of commitments in draw order, zero for absent members.
    @param work What the members worked on.
    @param commitments One word a member.
    @return The digest.
    """
    head: Bytes[256] = abi_encode(
        SET_DOMAIN,
        PROTOCOL_VERSION,
        chain.id,
        work.market,
        work.query_id,
        work.attempt,
        work.shard,
        work.round,
    )
    # The first two words of the encoding are offset and length.
    return keccak256(
        concat(head, slice(abi_encode(commitments), 64, 32 * len(commitments)))
    )


@internal
@view
def attestation_hash(work: Work, payload_hash: bytes32, set_digest: bytes32) -> bytes32:
    """
    @notice The 32 bytes that every member of a shard signs, under the market's EIP-712 domain.
    @param work What the members worked on, with their result.
    @param payload_hash Hash of what goes on chain in the last shard, zero in the others.
    @param set_digest Digest of the set that the shard settled on.
    @return The hash.
    """
    message: bytes32 = keccak256(
        abi_encode(
            ATTESTATION_TYPE,
            work.query_id,
            work.attempt,
            work.shard,
            work.round,
            work.in_digest,
            work.out_digest,
            payload_hash,
            set_digest,
        )
    )
    return signature.typed_hash(work.market, message)


@internal
@pure
def members_digest(signers: DynArray[address, 8]) -> bytes32:
    """
    @notice Digest of the members that were drawn for a shard.
    @param signers Their signers in draw order.
    @return keccak-256 of one word each.
    """
    # The first two words of the encoding are offset and length.
    return keccak256(slice(abi_encode(signers), 64, 32 * len(signers)))


@internal
@pure
def quorum(replicas: uint256) -> uint256:
    """
    @notice Equal attestations that settle a shard.
    @param replicas Members of the shard's committee.
    @return floor(2r/3) + 1.
    """
    return 2 * replicas // 3 + 1
