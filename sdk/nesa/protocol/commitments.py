"""What members of a committee commit to, lock and attest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import encode
from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.crypto import keccak

from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest, QueryId
from nesa.protocol.signatures import signing_domain, typed_hash

COMMITMENT_DOMAIN: Final = keccak(text="nesa.commitment.v1")
SET_DOMAIN: Final = keccak(text="nesa.commitment-set.v1")


def quorum(replicas: int) -> int:
    """Equal attestations that settle a shard: floor(2r/3) + 1."""
    return 2 * replicas // 3 + 1


@dataclass(frozen=True, slots=True)
class ShardContext:
    """One shard's work in one attempt of one query, on one chain and market.

    `seed` is the hash of the seed block. Everything that a member signs or commits to holds it,
    so that nothing made before a reorganisation or for another deployment counts after it.
    """

    chain_id: int
    market: Address
    query_id: QueryId
    attempt: int
    seed: Digest
    shard: int


def commitment(
    context: ShardContext,
    round_: int,
    member: Address,
    in_digest: bytes,
    out_digest: bytes,
    salt: bytes,
) -> Digest:
    """A member's hidden result: `member` is its signer, `salt` 32 random bytes, kept secret."""
    types = [
        "bytes32",
        "uint256",
        "uint256",
        "address",
        "uint256",
        "uint256",
        "bytes32",
    ]
    types += ["uint256", "uint256", "address", "bytes32", "bytes32", "bytes32"]
    head: list[Any] = [
        COMMITMENT_DOMAIN,
        PROTOCOL_VERSION,
        context.chain_id,
        context.market,
    ]
    head += [context.query_id, context.attempt, context.seed, context.shard, round_]
    return Digest(keccak(encode(types, [*head, member, in_digest, out_digest, salt])))


def set_digest(context: ShardContext, round_: int, commitments: Sequence[bytes]) -> Digest:
    """Digest of one set of commitments in draw order, zero for absent members."""
    types = [
        "bytes32",
        "uint256",
        "uint256",
        "address",
        "uint256",
        "uint256",
        "uint256",
        "uint256",
    ]
    head: list[Any] = [SET_DOMAIN, PROTOCOL_VERSION, context.chain_id, context.market]
    head += [context.query_id, context.attempt, context.shard, round_]
    return Digest(keccak(encode(types, head) + b"".join(commitments)))


@dataclass(frozen=True, slots=True)
class Attestation:
    """A member's signed statement of its own result.

    `payload_hash` is keccak-256 of the bytes that go on chain (the answer, or its ciphertext when
    sealed) in the last shard and zero in the others.
    """

    query_id: QueryId
    attempt: int
    shard: int
    round: int
    in_digest: Digest
    out_digest: Digest
    payload_hash: Digest
    set_digest: Digest


_ATTESTATION_TYPES: Final = {
    "Attestation": [
        {"name": "queryId", "type": "uint256"},
        {"name": "attempt", "type": "uint256"},
        {"name": "shard", "type": "uint256"},
        {"name": "round", "type": "uint256"},
        {"name": "inDigest", "type": "bytes32"},
        {"name": "outDigest", "type": "bytes32"},
        {"name": "payloadHash", "type": "bytes32"},
        {"name": "setDigest", "type": "bytes32"},
    ]
}


def attestation_message(
    chain_id: int, market: Address, attestation: Attestation
) -> SignableMessage:
    """EIP-712 message of `attestation` under the market's domain."""
    values = {
        "queryId": attestation.query_id,
        "attempt": attestation.attempt,
        "shard": attestation.shard,
        "round": attestation.round,
        "inDigest": attestation.in_digest,
        "outDigest": attestation.out_digest,
        "payloadHash": attestation.payload_hash,
        "setDigest": attestation.set_digest,
    }
    return encode_typed_data(signing_domain(chain_id, market), _ATTESTATION_TYPES, values)


def attestation_hash(chain_id: int, market: Address, attestation: Attestation) -> Digest:
    """The 32 bytes that are signed."""
    return typed_hash(attestation_message(chain_id, market, attestation))
