"""Encryption keys of operators and clients: X25519 pairs, and the encrypted file they rest in.

Other secrets rest in files of the same form: see `encrypted_secret` and `write_key_file`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, cast

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from nesa.protocol.errors import InvalidConfiguration, InvalidMessage

PUBLIC_KEY_BYTES: Final = 32
KEY_FILE_KIND: Final = "nesa-x25519"
WORK_FACTOR: Final = 2**18


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
    """Write `key` to a new file that only its owner may read, encrypted like a V3 keystore.

    `work_factor` is the cost parameter of scrypt, a power of two.

    Raises:
        InvalidConfiguration: the file exists or cannot be written.
    """
    document = {
        "kind": KEY_FILE_KIND,
        "public_key": public_bytes(key).hex(),
        **encrypted_secret(key.private_bytes_raw(), password, work_factor),
    }
    write_key_file(path, document)


def load_key(path: Path, password: str) -> X25519PrivateKey:
    """The key in a file that `save_key` wrote.

    Raises:
        InvalidConfiguration: no such file, another kind of file, or the wrong password.
    """
    document = read_key_file(path, KEY_FILE_KIND, "an encryption key file")
    try:
        key = X25519PrivateKey.from_private_bytes(decrypted_secret(document, password))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidConfiguration(f"wrong password for {path}, or a damaged file") from error
    if public_bytes(key).hex() != document.get("public_key"):
        raise InvalidConfiguration(f"{path} holds another key than it says")
    return key


def encrypted_secret(secret: bytes, password: str, work_factor: int) -> dict[str, Any]:
    """The entries `crypto`, `id` and `version` of a V3 keystore that holds `secret`."""
    # The stubs of eth-keyfile ask for a string; what it takes is bytes.
    stored = create_keyfile_json(secret, cast(str, password.encode()), 3, "scrypt", work_factor)
    return {name: stored[name] for name in ("crypto", "id", "version")}


def decrypted_secret(document: dict[str, Any], password: str) -> bytes:
    """The secret in such entries.

    Raises:
        KeyError, TypeError, ValueError: the wrong password, or a damaged document.
    """
    return bytes(decode_keyfile_json(cast(Any, document), cast(str, password.encode())))


def write_key_file(path: Path, document: dict[str, Any]) -> None:
    """Write a new file that only its owner may read, whole or not at all.

    Raises:
        InvalidConfiguration: the file exists or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidConfiguration(f"cannot write the key file {path}: {error}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InvalidConfiguration(f"cannot write the key file {path}: {error}") from error


def read_key_file(path: Path, kind: str, wanted: str) -> dict[str, Any]:
    """The document in a key file of one kind.

    Raises:
        InvalidConfiguration: no such file, or another kind of file than is `wanted`.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(f"cannot read the key file {path}: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise InvalidConfiguration(f"{path} is not {wanted}")
    return document
