"""The secret of a developer's private models: every key that their publishing needs comes of it.

One 32-byte secret may serve any number of models. From it derive (HKDF-SHA256, RFC 5869) a key for
each shard of each version, and the two keys of the service that releases those: whoever runs the
service needs the secret and no account with money in it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_keys.datatypes import PrivateKey

from nesa.privacy.key_files import WORK_FACTOR, load_secret, save_secret
from nesa.privacy.keys import public_bytes
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address, VersionRoot

SECRET_BYTES: Final = 32
SECRET_FILE_KIND: Final = "nesa-model-secret"

_DOMAIN: Final = b"nesa.model-secret.v1"


class _Purpose(Enum):
    SHARD = b"shard"
    RELEASE_SIGNER = b"release signer"
    RELEASE_ENCRYPTION = b"release encryption"


@dataclass(frozen=True, slots=True)
class ModelSecret:
    """32 random bytes that are never printed."""

    secret: bytes = field(repr=False)

    @property
    def signer(self) -> PrivateKey:
        """Signs what the release of keys says."""
        return PrivateKey(self._derive(_Purpose.RELEASE_SIGNER))

    @property
    def address(self) -> Address:
        """Account of `signer`."""
        return Address(self.signer.public_key.to_checksum_address())

    @property
    def encryption(self) -> X25519PrivateKey:
        """Opens what is asked of the release of keys."""
        return X25519PrivateKey.from_private_bytes(self._derive(_Purpose.RELEASE_ENCRYPTION))

    def shard_key(self, root: VersionRoot, shard: int) -> bytes:
        """Key of a shard's files in the version with this root."""
        return self._derive(_Purpose.SHARD, root + shard.to_bytes(4, "big"))

    def _derive(self, purpose: _Purpose, data: bytes = b"") -> bytes:
        info = _DOMAIN + bytes([len(purpose.value)]) + purpose.value + data
        return HKDF(SHA256(), SECRET_BYTES, None, info).derive(self.secret)


def new_secret() -> ModelSecret:
    """A fresh secret."""
    return ModelSecret(os.urandom(SECRET_BYTES))


def save_model_secret(
    path: Path, secret: ModelSecret, password: str, work_factor: int = WORK_FACTOR
) -> None:
    """Write a secret to a new encrypted file, see `save_secret`.

    Raises:
        InvalidConfiguration: the file exists or cannot be written, or the password is empty.
    """
    public = {"release": secret.address, "encryption_key": public_bytes(secret.encryption).hex()}
    save_secret(path, SECRET_FILE_KIND, public, secret.secret, password, work_factor)


def load_model_secret(path: Path, password: str) -> ModelSecret:
    """The secret in a file that `save_model_secret` wrote.

    Raises:
        InvalidConfiguration: no such file, another kind of file, or the wrong password.
    """
    document, data = load_secret(path, SECRET_FILE_KIND, "a file of a model secret", password)
    secret = ModelSecret(data)
    if secret.address != document.get("release"):
        raise InvalidConfiguration(f"{path} holds another secret than it says")
    return secret
