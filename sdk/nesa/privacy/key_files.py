"""Secrets at rest with their owner: JSON files encrypted under a password like V3 keystores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from nesa.protocol.errors import InvalidConfiguration

WORK_FACTOR: Final = 2**18


def save_secret(
    path: Path,
    kind: str,
    public: Mapping[str, Any],
    secret: bytes,
    password: str,
    work_factor: int = WORK_FACTOR,
) -> None:
    """Write 32 bytes to a new file that only its owner may read, whole or not at all; `public`
    stays readable in it.

    `work_factor` is the cost parameter of scrypt, a power of two.

    Raises:
        InvalidConfiguration: the file exists or cannot be written, or the password is empty.
    """
    if not password:
        raise InvalidConfiguration("an empty password protects nothing")
    stored = _encrypted(secret, password, work_factor)
    document = {"kind": kind, **public}
    document |= {name: stored[name] for name in ("crypto", "id", "version")}
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InvalidConfiguration(f"cannot write the key file {path}: {error}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        settle(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InvalidConfiguration(f"cannot write the key file {path}: {error}") from error


def load_secret(path: Path, kind: str, what: str, password: str) -> tuple[Mapping[str, Any], bytes]:
    """The readable part of a file that `save_secret` wrote, and its 32 bytes.

    `what` names the kind of file for people.

    Raises:
        InvalidConfiguration: no such file, another kind of file, or the wrong password.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(f"cannot read the key file {path}: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise InvalidConfiguration(f"{path} is not {what}")
    try:
        secret = _decrypted(document, password)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidConfiguration(f"wrong password for {path}, or a damaged file") from error
    if len(secret) != 32:
        raise InvalidConfiguration(f"wrong password for {path}, or a damaged file")
    return document, secret


def settle(folder: Path) -> None:
    """Returns once the names in a folder would survive a power cut.

    Raises:
        OSError: the folder cannot be written out.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# The stubs of eth-keyfile ask for a string; what it takes is bytes.


def _encrypted(secret: bytes, password: str, work_factor: int) -> dict[str, Any]:
    given = cast(str, password.encode())
    return dict(create_keyfile_json(secret, given, 3, "scrypt", work_factor))


def _decrypted(document: dict[str, Any], password: str) -> bytes:
    return bytes(decode_keyfile_json(cast(Any, document), cast(str, password.encode())))
