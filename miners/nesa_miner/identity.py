"""Who this miner is: the key that signs for it, and the key that opens what is sent to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey

from nesa.protocol.commitments import sign_digest
from nesa.protocol.ids import Address


@dataclass(frozen=True, slots=True)
class Identity:
    """A miner's two hot keys; neither is ever printed."""

    signer: PrivateKey = field(repr=False)
    encryption: X25519PrivateKey = field(repr=False)

    @property
    def address(self) -> Address:
        """The on-chain signer."""
        return Address(self.signer.public_key.to_checksum_address())

    def sign(self, digest: bytes) -> tuple[bytes, bytes]:
        """Compact signature (r, vs) of 32 bytes."""
        return sign_digest(self.signer, digest)
