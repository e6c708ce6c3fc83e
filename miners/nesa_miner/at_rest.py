"""Encryption of what rests on this miner's disk: content of sealed queries, keys of shards."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nesa.protocol.errors import IntegrityError

JOURNAL: Final = b"nesa.journal.v1"
_NONCE_BYTES: Final = 12


class AtRest:
    """ChaCha20-Poly1305 under a key derived from the miner's encryption key for one purpose."""

    def __init__(self, key: X25519PrivateKey, purpose: bytes = JOURNAL) -> None:
        secret = HKDF(SHA256(), 32, None, purpose).derive(key.private_bytes_raw())
        self._purpose = purpose
        self._cipher = ChaCha20Poly1305(secret)

    def encrypt(self, data: bytes) -> bytes:
        """`data` as it may be stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, self._purpose)

    def decrypt(self, stored: bytes) -> bytes:
        """What `encrypt` took.

        Raises:
            IntegrityError: stored under another key, or changed.
        """
        nonce, body = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, body, self._purpose)
        except (InvalidTag, ValueError) as error:
            raise IntegrityError("it was stored under another key, or changed") from error
