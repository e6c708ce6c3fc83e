"""Who this miner is: the key that signs for it, and the key that opens what is sent to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey

from nesa.privacy.envelopes import Deployment
from nesa.privacy.sealing import WrapContext, unwrap_content_key
from nesa.protocol.ids import Address
from nesa.protocol.queries import Query
from nesa.protocol.signatures import sign_digest
from nesa_miner.jobs import JobKey
from nesa_miner.journal import Journal


@dataclass(frozen=True, slots=True)
class Identity:
    """A miner's hot keys; none is ever printed. What was sealed to a `former` encryption key opens
    until the miner forgets it."""

    signer: PrivateKey = field(repr=False)
    encryption: X25519PrivateKey = field(repr=False)
    former: list[X25519PrivateKey] = field(default_factory=list, repr=False, compare=False)

    @property
    def address(self) -> Address:
        """The on-chain signer."""
        return Address(self.signer.public_key.to_checksum_address())

    @property
    def keys(self) -> tuple[X25519PrivateKey, ...]:
        """Everything that opens what was sealed to this miner, the newest first."""
        return (self.encryption, *self.former)

    def sign(self, digest: bytes) -> tuple[bytes, bytes]:
        """Compact signature (r, vs) of 32 bytes."""
        return sign_digest(self.signer, digest)

    def unwrap(self, wrapped: bytes, deployment: Deployment, query: Query) -> bytes:
        """The content key of `query`, from what its requester wrapped for this miner.

        Raises:
            InvalidMessage: it was wrapped for something or somebody else.
        """
        return unwrapped(wrapped, self.keys, self.address, deployment, query)


def unwrapped(
    wrapped: bytes,
    keys: Sequence[X25519PrivateKey],
    member: Address,
    deployment: Deployment,
    query: Query,
) -> bytes:
    """The content key of `query`, from what its requester wrapped for a member's signer, with
    whichever of the member's keys opens it.

    Raises:
        InvalidMessage: it was wrapped for something or somebody else.
    """
    ids = (deployment.chain_id, deployment.market, query.query_id, query.attempt)
    newest, *former = keys
    return unwrap_content_key(wrapped, newest, WrapContext(*ids, member), former)


def kept_content_key(
    journal: Journal,
    query: Query,
    keys: Sequence[X25519PrivateKey],
    member: Address,
    deployment: Deployment,
) -> bytes | None:
    """What opens an attempt of a sealed query, as far as its requester sent it to a member's signer
    and the journal has it; None also of an open query.

    Raises:
        InvalidMessage: it was wrapped to an encryption key that is not among `keys`.
    """
    wrapped = journal.content_key(JobKey((query.query_id, query.attempt)), query.input_digest)
    if wrapped is None:
        return None
    return unwrapped(wrapped, keys, member, deployment, query)
