"""The oracle's keys on disk: the cold owner of the stake, and the hot signer that sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_account.signers.local import LocalAccount

from nesa.chain.keystore import SCRYPT_COST, create_keystore, load_keystore
from nesa.privacy.keys import generate_key, load_key, public_bytes, save_key
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address
from nesa_oracle.config import OracleSettings

PASSWORD_VARIABLE: Final = "NESA_PASSWORD"
"""Holds the password of all keys; with `_FILE` behind it, the path of a file that does."""


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What others may know of an oracle's keys."""

    owner: Address
    signer: Address
    encryption: bytes


def create_keys(settings: OracleSettings, password: str, cost: int = SCRYPT_COST) -> PublicKeys:
    """Make owner, signer and the encryption key that every operator states.

    Raises:
        InvalidConfiguration: one exists already or cannot be written, or the password is empty.
    """
    paths = (settings.owner_keystore, settings.signer_keystore, settings.encryption_keystore)
    for path in paths:
        if path.exists():
            raise InvalidConfiguration(
                f"{path} exists and is not overwritten; choose another --dir"
            )
    owner = create_keystore(settings.owner_keystore, password, cost=cost)
    signer = create_keystore(settings.signer_keystore, password, cost=cost)
    encryption = generate_key()
    save_key(settings.encryption_keystore, encryption, password)
    return PublicKeys(Address(owner.address), Address(signer.address), public_bytes(encryption))


def open_signer(settings: OracleSettings, password: str) -> LocalAccount:
    """The account that reports.

    Raises:
        InvalidConfiguration: the key file is missing or damaged, or the password is wrong.
    """
    return load_keystore(settings.signer_keystore, password)


def open_owner(settings: OracleSettings, password: str) -> LocalAccount:
    """The account that owns the stake; errors as `open_signer`."""
    return load_keystore(settings.owner_keystore, password)


def encryption_key(settings: OracleSettings, password: str) -> bytes:
    """Public part of the encryption key; errors as `open_signer`."""
    return public_bytes(load_key(settings.encryption_keystore, password))
