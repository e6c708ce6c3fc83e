"""Whose keys on chain a training peer has."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nesa.chain.contracts import ZERO_ADDRESS, Contracts
from nesa.privacy.envelopes import Receiver
from nesa.privacy.keys import public_bytes, public_key
from nesa.protocol.errors import InvalidConfiguration, InvalidInput
from nesa.protocol.ids import Address


async def find_peer(contracts: Contracts, operator: Address) -> Receiver:
    """A registered operator's signer, and its encryption key of this epoch.

    Raises:
        InvalidInput: nobody registered under this account, or its key is none.
        Unavailable: the node does not answer.
    """
    vault = contracts.vault
    record, epoch = await vault.operator(operator, at="latest"), await vault.epoch(at="latest")
    if record.signer == ZERO_ADDRESS:
        raise InvalidInput(
            f"{operator} is no registered operator; give the account that the peer's operator "
            "registered, such as `nesa privacy serve-split` prints it"
        )
    return Receiver(record.signer, public_key(record.encryption_key_at(epoch)))


async def operator_with(
    contracts: Contracts, signer: Address, encryption: X25519PrivateKey
) -> Address:
    """The operator whose signer and encryption key these are.

    Raises:
        InvalidConfiguration: nobody's, so that no client would find this peer.
        Unavailable: the node does not answer.
    """
    vault = contracts.vault
    operator = await vault.operator_of(signer, at="latest")
    if operator is None:
        raise InvalidConfiguration(
            f"{signer} is the signer of no operator; register it with `nesa-miner register`, and "
            "give the signer's keystore with --keystore"
        )
    record, epoch = await vault.operator(operator, at="latest"), await vault.epoch(at="latest")
    if record.encryption_key_at(epoch) != public_bytes(encryption):
        raise InvalidConfiguration(
            f"the chain has another encryption key for operator {operator}; give the file of the "
            "key that it registered"
        )
    return operator
