"""The miner's three keys on disk: cold owner, hot signer, and the key that opens what is sealed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey

from nesa.chain.keystore import SCRYPT_COST, create_keystore, load_keystore
from nesa.privacy.key_rotation import load_former_keys
from nesa.privacy.keys import generate_key, load_key, public_bytes, save_key
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address
from nesa_miner.config import MinerSettings
from nesa_miner.identity import Identity

PASSWORD_VARIABLE: Final = "NESA_PASSWORD"
"""Holds the password of all three keys; with `_FILE` behind it, the path of a file that does."""


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What others may know of a miner's keys."""

    owner: Address
    signer: Address
    encryption: bytes


def open_identity(folder: Path, settings: MinerSettings, password: str) -> Identity:
    """The keys that a running miner needs: signer and encryption, not the owner.

    Raises:
        InvalidConfiguration: a key file is missing or damaged, or the password is wrong.
    """
    signer = load_keystore(folder / settings.signer_keystore, password)
    newest, *former = open_encryption(folder, settings, password)
    return Identity(PrivateKey(bytes(signer.key)), newest, former)


def open_encryption(
    folder: Path, settings: MinerSettings, password: str
) -> tuple[X25519PrivateKey, ...]:
    """The key that opens what is sealed to this miner, and behind it those that it replaced.

    Raises:
        InvalidConfiguration: as `open_identity`.
    """
    path = folder / settings.encryption_keystore
    return (load_key(path, password), *load_former_keys(path, password))


def open_owner(folder: Path, settings: MinerSettings, password: str) -> LocalAccount:
    """The account that owns the stake.

    Raises:
        InvalidConfiguration: the key file is missing or damaged, or the password is wrong.
    """
    return load_keystore(folder / settings.owner_keystore, password)


def create_keys(
    folder: Path, settings: MinerSettings, password: str, cost: int = SCRYPT_COST
) -> PublicKeys:
    """Make all three keys; when one cannot be written none stays.

    Raises:
        InvalidConfiguration: a key file exists or cannot be written, or the password is empty.
    """
    paths = [
        folder / settings.owner_keystore,
        folder / settings.signer_keystore,
        folder / settings.encryption_keystore,
    ]
    refuse_existing(paths)
    with all_or_none(paths):
        owner = create_keystore(paths[0], password, cost=cost)
        signer = create_keystore(paths[1], password, cost=cost)
        encryption = generate_key()
        paths[2].parent.mkdir(parents=True, exist_ok=True)
        save_key(paths[2], encryption, password, cost)
    return PublicKeys(Address(owner.address), Address(signer.address), public_bytes(encryption))


def refuse_existing(paths: list[Path]) -> None:
    """Returns when none of the files is there.

    Raises:
        InvalidConfiguration: one is, and is not overwritten.
    """
    for path in paths:
        if path.exists():
            raise InvalidConfiguration(
                f"{path} exists and is not overwritten; choose another --dir, or keep using "
                "the miner that lives there"
            )


@contextmanager
def all_or_none(paths: list[Path]) -> Iterator[None]:
    """None of the files stays when the block fails."""
    try:
        yield
    except BaseException:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        raise
