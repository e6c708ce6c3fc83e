"""Encrypted keys on disk (Web3 Secret Storage, version 3) and where their passwords come from."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address

SCRYPT_COST: Final = 2**18
"""Work to turn a password into a key; tests use 2**10."""


def create_keystore(
    path: Path, password: str, key: bytes | None = None, cost: int = SCRYPT_COST
) -> LocalAccount:
    """A new account, or the one of `key`, encrypted into a file that only its owner can read.

    Raises:
        InvalidConfiguration: the file exists, cannot be written, or the password is empty.
    """
    if not password:
        raise InvalidConfiguration("an empty password protects nothing")
    account: LocalAccount = Account.create() if key is None else Account.from_key(key)
    document = Account.encrypt(account.key, password, kdf="scrypt", iterations=cost)
    _write_private(path, json.dumps(document))
    return account


def load_keystore(path: Path, password: str) -> LocalAccount:
    """The account in an encrypted file.

    Raises:
        InvalidConfiguration: no such file, not a keystore, or the wrong password.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        key = Account.decrypt(document, password)
    except OSError as error:
        raise InvalidConfiguration(f"cannot read the keystore {path}: {error.strerror}") from error
    except (KeyError, TypeError, NotImplementedError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"{path} is not a version 3 keystore") from error
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise InvalidConfiguration(f"the password does not open {path}") from error
        raise InvalidConfiguration(f"{path} is not a version 3 keystore") from error
    account: LocalAccount = Account.from_key(key)
    return account


def keystore_address(path: Path) -> Address:
    """Whose key is in an encrypted file, without opening it.

    Raises:
        InvalidConfiguration: no such file, or not a keystore.
    """
    try:
        return Address(to_checksum_address(json.loads(path.read_text("utf-8"))["address"]))
    except OSError as error:
        raise InvalidConfiguration(f"cannot read the keystore {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidConfiguration(f"{path} is not a version 3 keystore") from error


def read_password(variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """The password named by `<variable>_FILE` (a file's first line) or by `<variable>` itself.

    Raises:
        InvalidConfiguration: neither is set, or the file cannot be read.
    """
    if named := environment.get(f"{variable}_FILE"):
        return read_password_file(Path(named))
    if password := environment.get(variable):
        return password
    raise InvalidConfiguration(f"set {variable}_FILE or {variable} to unlock the key")


def read_password_file(path: Path) -> str:
    """First line of a password file; standard error warns of one that everybody can read.

    Raises:
        InvalidConfiguration: it cannot be read or is empty.
    """
    try:
        with path.open(encoding="utf-8") as file:
            is_public = bool(os.fstat(file.fileno()).st_mode & stat.S_IROTH)
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"cannot read the password file {path}") from error
    if not lines or not lines[0]:
        raise InvalidConfiguration(f"the password file {path} is empty")
    if is_public:
        print(f"Warning: everybody on this machine can read {path}; chmod 600 it", file=sys.stderr)
    return lines[0]


def _write_private(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise InvalidConfiguration(f"{path} exists; remove it or name another") from error
    except OSError as error:
        raise InvalidConfiguration(f"cannot write {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
