"""Encryption of what rests on this miner's disk and could hold the content of sealed queries."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nesa.protocol.errors import IntegrityError

_PURPOSE: Final = b"nesa.journal.v1"
_NONCE_BYTES: Final = 12


class AtRest:
    """ChaCha20-Poly1305 under a key derived from the miner's encryption key."""

    def __init__(self, key: X25519PrivateKey) -> None:
        secret = HKDF(SHA256(), 32, None, _PURPOSE).derive(key.private_bytes_raw())
        self._cipher = ChaCha20Poly1305(secret)

    def encrypt(self, data: bytes) -> bytes:
        """`data` as it may be stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, _PURPOSE)

    def decrypt(self, stored: bytes) -> bytes:
        """What `encrypt` took.

        Raises:
            IntegrityError: stored under another key, or changed.
        """
        nonce, body = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, body, _PURPOSE)
        except (InvalidTag, ValueError) as error:
            raise IntegrityError("the journal was written under another key or changed") from error
