"""A signer's consent to work for an operator, without which the vault gives it to nobody."""

from __future__ import annotations

from typing import Final

from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey

from nesa.protocol.ids import Address, Digest
from nesa.protocol.signatures import sign_digest, signing_domain, typed_hash

_TYPES: Final = {"SignerConsent": [{"name": "operator", "type": "address"}]}


def consent_hash(chain_id: int, vault: Address, operator: Address) -> Digest:
    """The 32 bytes that a signer signs, an EIP-712 message under the vault's domain."""
    domain = signing_domain(chain_id, vault)
    return typed_hash(encode_typed_data(domain, _TYPES, {"operator": operator}))


def sign_consent(
    signer: PrivateKey, chain_id: int, vault: Address, operator: Address
) -> tuple[bytes, bytes]:
    """The consent as the vault takes it: `r` and `vs` after EIP-2098."""
    return sign_digest(signer, consent_hash(chain_id, vault, operator))
