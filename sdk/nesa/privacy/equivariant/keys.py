"""The key of one user for one model: 32 secret bytes, from which every transform is derived."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nesa.privacy.streams import Stream
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Digest

SEED_BYTES: Final = 32
MAX_EPOCH: Final = 2**32 - 1

_DOMAIN: Final = b"nesa.equivariant.v1"
_FINGERPRINT: Final = b"fingerprint"
_FILE: Final = b"file"
_AXIS: Final = b"axis"


@dataclass(frozen=True, slots=True)
class EquivariantKey:
    """A secret, bound to the plain version that it transforms and to an epoch.

    The next epoch has other transforms of the same secret. `fingerprint` is public: it says which
    key a transformed model is under, and nothing about it.

    Raises:
        InvalidInput: not 32 bytes each, or no epoch.
    """

    seed: bytes = field(repr=False)
    version: bytes
    epoch: int = 0

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES or len(self.version) != SEED_BYTES:
            raise InvalidInput(f"a key has a seed and a version root of {SEED_BYTES} bytes each")
        if not 0 <= self.epoch <= MAX_EPOCH:
            raise InvalidInput(f"the epoch of a key is from 0 to {MAX_EPOCH}")

    @classmethod
    def generate(cls, version: bytes) -> EquivariantKey:
        """A fresh key for the version with this root."""
        return cls(secrets.token_bytes(SEED_BYTES), version)

    def rotated(self) -> EquivariantKey:
        """The key of the next epoch.

        Raises:
            InvalidInput: there is none.
        """
        return EquivariantKey(self.seed, self.version, self.epoch + 1)

    @property
    def fingerprint(self) -> Digest:
        """32 public bytes that name the key."""
        return Digest(self._derive(_FINGERPRINT))

    @property
    def authentication_key(self) -> bytes:
        """32 secret bytes that bind what is kept beside the key to it."""
        return self._derive(_FILE)

    def stream(self, label: int) -> Stream:
        """The random numbers of the transform of one axis."""
        return Stream(self._derive(_AXIS + label.to_bytes(4, "big")))

    def _derive(self, purpose: bytes) -> bytes:
        info = _DOMAIN + self.version + self.epoch.to_bytes(4, "big") + purpose
        return HKDF(SHA256(), SEED_BYTES, None, info).derive(self.seed)
