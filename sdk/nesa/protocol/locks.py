"""Locks: a member's one signature on a set in a round; a quorum of them certifies the set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.commitments import ShardContext, quorum, recover_signer, set_digest
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, ZERO_DIGEST, Address, Digest
from nesa.protocol.messages import Certificate, Lock

LOCK_DOMAIN: Final = keccak(text="nesa.lock.v1")


def lock_digest(context: ShardContext, round_: int, set_digest_: bytes) -> Digest:
    """The 32 bytes that a lock signs."""
    types = ["bytes32", "uint256", "uint256", "address", "uint256", "uint256", "bytes32"]
    types += ["uint256", "uint256", "bytes32"]
    values = [LOCK_DOMAIN, PROTOCOL_VERSION, context.chain_id, context.market, context.query_id]
    values += [context.attempt, context.seed, context.shard, round_, set_digest_]
    return Digest(keccak(encode(types, values)))


def verify_lock(members: Sequence[Address], lock: Lock) -> None:
    """Check that the member at the lock's position signed it; `members` are in draw order.

    Raises:
        InvalidMessage: somebody else signed, or there is no such member.
    """
    if lock.position >= len(members):
        raise InvalidMessage(f"there is no member at position {lock.position}")
    digest = lock_digest(lock.context, lock.round, lock.set_digest)
    if recover_signer(digest, lock.r, lock.vs) != members[lock.position]:
        raise InvalidMessage(f"the lock is not signed by the member at {lock.position}")


def verify_certificate(members: Sequence[Address], certificate: Certificate) -> Digest:
    """The digest of the set that a quorum locked; `members` are in draw order.

    Raises:
        InvalidMessage: not one set of enough commitments with a quorum of valid locks.
    """
    needed = quorum(len(members))
    if len(certificate.commitments) != len(members):
        raise InvalidMessage("the set does not have one entry for each member")
    if sum(entry != ZERO_DIGEST for entry in certificate.commitments) < needed:
        raise InvalidMessage("the set has fewer commitments than a quorum")
    positions = [lock.position for lock in certificate.locks]
    if len(positions) < needed or positions != sorted(set(positions)):
        raise InvalidMessage("the certificate does not have a quorum of ascending positions")
    digest = set_digest(certificate.context, certificate.round, certificate.commitments)
    expected = (certificate.context, certificate.round, digest)
    for lock in certificate.locks:
        if (lock.context, lock.round, lock.set_digest) != expected:
            raise InvalidMessage(f"the lock of member {lock.position} is for another set")
        verify_lock(members, lock)
    return digest
