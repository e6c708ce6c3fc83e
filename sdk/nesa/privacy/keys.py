"""Encryption keys of operators and clients: X25519 pairs, and the encrypted file they rest in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from nesa.privacy.key_files import WORK_FACTOR, load_secret, save_secret
from nesa.protocol.errors import InvalidConfiguration, InvalidMessage

PUBLIC_KEY_BYTES: Final = 32
KEY_FILE_KIND: Final = "nesa-x25519"


def generate_key() -> X25519PrivateKey:
    """A fresh private key."""
    return X25519PrivateKey.generate()


def public_bytes(key: X25519PrivateKey | X25519PublicKey) -> bytes:
    """The 32 bytes of the public key that the vault stores as an operator's encryption key."""
    public = key.public_key() if isinstance(key, X25519PrivateKey) else key
    return public.public_bytes_raw()


def public_key(data: bytes) -> X25519PublicKey:
    """The public key with these 32 bytes.

    Raises:
        InvalidMessage: not 32 bytes.
    """
    try:
        return X25519PublicKey.from_public_bytes(data)
    except ValueError as error:
        raise InvalidMessage("an encryption key has 32 bytes") from error


def save_key(
    path: Path, key: X25519PrivateKey, password: str, work_factor: int = WORK_FACTOR
) -> None:
    """Write `key` to a new encrypted file, see `save_secret`.

    Raises:
        InvalidConfiguration: the file exists or cannot be written, or the password is empty.
    """
    public = {"public_key": public_bytes(key).hex()}
    save_secret(path, KEY_FILE_KIND, public, key.private_bytes_raw(), password, work_factor)


def load_key(path: Path, password: str) -> X25519PrivateKey:
    """The key in a file that `save_key` wrote.

    Raises:
        InvalidConfiguration: no such file, another kind of file, or the wrong password.
    """
    document, secret = load_secret(path, KEY_FILE_KIND, "an encryption key file", password)
    key = X25519PrivateKey.from_private_bytes(secret)
    if public_bytes(key).hex() != document.get("public_key"):
        raise InvalidConfiguration(f"{path} holds another key than it says")
    return key
