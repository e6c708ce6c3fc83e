"""What members sign on the way to a set: their commits, one lock a round, and certificates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.commitments import ShardContext, quorum, set_digest
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, ZERO_DIGEST, Address, Digest
from nesa.protocol.messages import Certificate, Commit, Lock
from nesa.protocol.signatures import recover_signer

COMMIT_DOMAIN: Final = keccak(text="nesa.commit.v1")
LOCK_DOMAIN: Final = keccak(text="nesa.lock.v1")

signer_of = lru_cache(maxsize=4096)(recover_signer)
"""`recover_signer` that remembers: the same lock arrives from every member that passes it on."""


def commit_digest(context: ShardContext, round_: int, commitment: bytes) -> Digest:
    """The 32 bytes that a commit signs."""
    return _digest(COMMIT_DOMAIN, context, round_, commitment)


def lock_digest(context: ShardContext, round_: int, set_digest_: bytes) -> Digest:
    """The 32 bytes that a lock signs."""
    return _digest(LOCK_DOMAIN, context, round_, set_digest_)


def verify_commit(members: Sequence[Address], commit: Commit) -> None:
    """Check that the member at the commit's position signed it; `members` are in draw order.

    Raises:
        InvalidMessage: somebody else signed, or there is no such member.
    """
    digest = commit_digest(commit.context, commit.round, commit.commitment)
    _verify(members, commit.position, digest, commit.r, commit.vs)


def verify_lock(members: Sequence[Address], lock: Lock) -> None:
    """Check that the member at the lock's position signed it; `members` are in draw order.

    Raises:
        InvalidMessage: somebody else signed, or there is no such member.
    """
    digest = lock_digest(lock.context, lock.round, lock.set_digest)
    _verify(members, lock.position, digest, lock.r, lock.vs)


def verify_certificate(members: Sequence[Address], certificate: Certificate) -> Digest:
    """The digest of the set that a quorum locked; `members` are in draw order.

    Raises:
        InvalidMessage: not one set of enough commitments with a quorum of valid locks.
    """
    _check_size(members, certificate)
    digest = set_digest(certificate.context, certificate.round, certificate.commitments)
    expected = (certificate.context, certificate.round, digest)
    for lock in certificate.locks:
        if (lock.context, lock.round, lock.set_digest) != expected:
            raise InvalidMessage(f"the lock of member {lock.position} is for another set")
        verify_lock(members, lock)
    return digest


def _check_size(members: Sequence[Address], certificate: Certificate) -> None:
    needed = quorum(len(members))
    if len(certificate.commitments) != len(members):
        raise InvalidMessage("the set does not have one entry for each member")
    if sum(entry != ZERO_DIGEST for entry in certificate.commitments) < needed:
        raise InvalidMessage("the set has fewer commitments than a quorum")
    positions = [lock.position for lock in certificate.locks]
    if len(positions) < needed or positions != sorted(set(positions)):
        raise InvalidMessage("the certificate does not have a quorum of ascending positions")


def _digest(domain: bytes, context: ShardContext, round_: int, content: bytes) -> Digest:
    types = ["bytes32", "uint256", "uint256", "address", "uint256", "uint256", "bytes32"]
    types += ["uint256", "uint256", "bytes32"]
    head: list[Any] = [domain, PROTOCOL_VERSION, context.chain_id, context.market]
    head += [context.query_id, context.attempt, context.seed, context.shard, round_]
    return Digest(keccak(encode(types, [*head, content])))


def _verify(members: Sequence[Address], position: int, digest: bytes, r: bytes, vs: bytes) -> None:
    if position >= len(members):
        raise InvalidMessage(f"there is no member at position {position}")
    if signer_of(digest, r, vs) != members[position]:
        raise InvalidMessage(f"the signature is not that of the member at position {position}")
