"""Encryption of what rests on this miner's disk: content of sealed queries, keys of shards."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
    """ChaCha20-Poly1305 under a key derived from the miner's encryption key for one purpose. What
    was stored under one of its `former` keys opens too."""

    def __init__(
        self,
        key: X25519PrivateKey,
        purpose: bytes = JOURNAL,
        former: Sequence[X25519PrivateKey] = (),
    ) -> None:
        self._purpose = purpose
        self._cipher = _cipher(key, purpose)
        self._former = [_cipher(one, purpose) for one in former]

    def encrypt(self, data: bytes) -> bytes:
        """`data` as it may be stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, self._purpose)

    def decrypt(self, stored: bytes) -> bytes:
        """What `encrypt` took.

        Raises:
            IntegrityError: stored under another key, or changed.
        """
        for cipher in (self._cipher, *self._former):
            if (data := self._opened(stored, cipher)) is not None:
                return data
        raise IntegrityError("it was stored under another key, or changed")

    def under_newest(self, stored: bytes) -> bytes | None:
        """The same as `encrypt` stores it now; None where that is how it is stored already, or no
        key opens it."""
        if self._opened(stored, self._cipher) is not None:
            return None
        for cipher in self._former:
            if (data := self._opened(stored, cipher)) is not None:
                return self.encrypt(data)
        return None

    def _opened(self, stored: bytes, cipher: ChaCha20Poly1305) -> bytes | None:
        nonce, body = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, body, self._purpose)
        except (InvalidTag, ValueError):
            return None


def _cipher(key: X25519PrivateKey, purpose: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, None, purpose).derive(key.private_bytes_raw()))
