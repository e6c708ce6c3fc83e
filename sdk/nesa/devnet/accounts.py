"""Keys of a development network: each account has a keystore and a password file of its own."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth_account.signers.local import LocalAccount

from nesa.chain.deployment import KeyFile
from nesa.chain.keystore import create_keystore, load_keystore, read_password_file
from nesa.protocol.errors import ExhaustedResource
from nesa.protocol.ids import Address

DEVELOPMENT_COST: Final = 2**12
"""Work to open a keystore; these keys live for one network and hold nothing of worth."""


@dataclass(frozen=True, slots=True, eq=False)
class DevnetAccount:
    """An unlocked account and where its key is kept."""

    name: str
    account: LocalAccount
    files: KeyFile

    @property
    def address(self) -> Address:
        """Checksummed address."""
        return Address(self.account.address)

    def __repr__(self) -> str:
        return f"DevnetAccount({self.name}, {self.address})"


def create_account(folder: Path, name: str) -> DevnetAccount:
    """A new account whose files only their owner can read.

    Raises:
        InvalidConfiguration: the folder holds such an account already.
    """
    password = secrets.token_urlsafe(24)
    files = _files(folder, name)
    account = create_keystore(files.keystore, password, cost=DEVELOPMENT_COST)
    write_password(files.password_file, password)
    return DevnetAccount(name, account, files)


def open_account(folder: Path, name: str) -> DevnetAccount:
    """An account that `create_account` made.

    Raises:
        InvalidConfiguration: the folder holds none of that name.
    """
    files = _files(folder, name)
    password = read_password_file(files.password_file)
    return DevnetAccount(name, load_keystore(files.keystore, password), files)


def write_password(path: Path, password: str) -> None:
    """A password file that only its owner can read.

    Raises:
        ExhaustedResource: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(password + "\n")
    except OSError as error:
        raise ExhaustedResource(f"cannot write {path}: {error.strerror}") from error


def _files(folder: Path, name: str) -> KeyFile:
    return KeyFile(keystore=folder / f"{name}.json", password_file=folder / f"{name}.password")
