"""Signatures of 32 bytes as the contracts check them; `contracts/lib/signature.vy`."""

from __future__ import annotations

from typing import Any, Final

from eth_account.messages import SignableMessage
from eth_keys.datatypes import PrivateKey, Signature
from eth_utils.crypto import keccak

from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest

SECP256K1_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def signing_domain(chain_id: int, contract: Address) -> dict[str, Any]:
    """EIP-712 domain of messages that `contract` checks."""
    return {
        "name": "Nesa",
        "version": str(PROTOCOL_VERSION),
        "chainId": chain_id,
        "verifyingContract": contract,
    }


def typed_hash(message: SignableMessage) -> Digest:
    """The 32 bytes that are signed of an EIP-712 message."""
    return Digest(keccak(b"\x19" + message.version + message.header + message.body))


def sign_digest(key: PrivateKey, digest: bytes) -> tuple[bytes, bytes]:
    """Compact signature (r, vs) of 32 bytes after EIP-2098; deterministic, low s."""
    signature = key.sign_msg_hash(digest)
    vs = signature.s | signature.v << 255
    return signature.r.to_bytes(32, "big"), vs.to_bytes(32, "big")


def recover_signer(digest: bytes, r: bytes, vs: bytes) -> Address:
    """Who signed `digest`.

    Raises:
        InvalidMessage: high s, or not a signature at all.
    """
    word = int.from_bytes(vs, "big")
    v, s = word >> 255, word & (1 << 255) - 1
    if s > SECP256K1_HALF_ORDER:
        raise InvalidMessage("the signature has a high s")
    try:
        signature = Signature(vrs=(v, int.from_bytes(r, "big"), s))
        return Address(signature.recover_public_key_from_msg_hash(digest).to_checksum_address())
    except Exception as error:  # eth_keys raises several unrelated types on malformed input
        raise InvalidMessage("the signature cannot be recovered") from error
