"""Sealed queries: one content key a query, from which every other secret of it is derived.

The client draws 32 random bytes for one query and never uses them again. It encrypts the input
with them, blinds every digest with them, wraps them to each drawn member after the draw, and opens
the answer with them. Ciphertexts are deterministic: their nonce is derived from what they hold, so
honest members produce the same bytes and two plaintexts never share a nonce.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.digests import blinded_digest
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest, QueryId, VersionId
from nesa.protocol.queries import Privacy

SEALING_DOMAIN: Final = b"nesa.sealing.v1"
WRAP_DOMAIN: Final = keccak(text="nesa.content-key.v1")

CONTENT_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
OVERHEAD_BYTES: Final = NONCE_BYTES + 16
"""What a sealed input or answer is longer than its plaintext."""

SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def carried_bytes(privacy: Privacy, size: int) -> int:
    """Bytes in which a query of this privacy carries a tensor of `size` bytes."""
    return size + OVERHEAD_BYTES if privacy is Privacy.SEALED else size


class _Purpose(Enum):
    INPUT_KEY = b"input key"
    INPUT_NONCE = b"input nonce"
    ANSWER_KEY = b"answer key"
    ANSWER_NONCE = b"answer nonce"
    BLIND = b"blind"
    PROOF_BLIND = b"proof blind"


def blind(content_key: bytes, boundary: int) -> bytes:
    """The blind of one boundary: 0 is the input of shard 0, i + 1 the output of shard i."""
    return _derive(content_key, _Purpose.BLIND, boundary.to_bytes(4, "big"))


def proof_blind(content_key: bytes) -> bytes:
    """The blind of every boundary that a proof of the query shows hashed.

    It is one for all of them, for circuits pass it on; what it hides are different tensors.
    """
    return _derive(content_key, _Purpose.PROOF_BLIND)


def sealed_digest(content_key: bytes, boundary: int, digest: bytes) -> Digest:
    """What members commit to and attest in place of a boundary's plain `digest`."""
    return blinded_digest(digest, blind(content_key, boundary))


def input_digest(content_key: bytes, digest: bytes) -> Digest:
    """What the request shows of the input; `digest` is the plain digest of boundary 0."""
    return sealed_digest(content_key, 0, digest)


def seal_input(content_key: bytes, version_id: VersionId, data: bytes) -> bytes:
    """Ciphertext of the canonical bytes of an input, bound to the version that it is for."""
    purposes = (_Purpose.INPUT_KEY, _Purpose.INPUT_NONCE)
    return _seal(content_key, purposes, bytes(version_id), data)


def open_input(content_key: bytes, version_id: VersionId, ciphertext: bytes) -> bytes:
    """The bytes that `seal_input` took.

    Raises:
        InvalidMessage: another key or version, or changed bytes.
    """
    return _open(content_key, _Purpose.INPUT_KEY, bytes(version_id), ciphertext)


def seal_answer(
    content_key: bytes, version_id: VersionId, sealed_input: Digest, answer: bytes
) -> bytes:
    """Ciphertext of an answer; the same on every machine. `sealed_input` is the blinded digest."""
    purposes = (_Purpose.ANSWER_KEY, _Purpose.ANSWER_NONCE)
    return _seal(content_key, purposes, version_id + sealed_input, answer)


def open_answer(
    content_key: bytes, version_id: VersionId, sealed_input: Digest, ciphertext: bytes
) -> bytes:
    """The answer that `seal_answer` took.

    Raises:
        InvalidMessage: another key, version or input, or changed bytes.
    """
    return _open(content_key, _Purpose.ANSWER_KEY, version_id + sealed_input, ciphertext)


@dataclass(frozen=True, slots=True)
class WrapContext:
    """Whom a wrapped content key is for; `member` is the member's on-chain signer."""

    chain_id: int
    market: Address
    query_id: QueryId
    attempt: int
    member: Address

    def info(self) -> bytes:
        """What the wrapping is bound to."""
        types = ["bytes32", "uint256", "uint256", "address", "uint256", "uint256", "address"]
        head = [WRAP_DOMAIN, PROTOCOL_VERSION, self.chain_id, self.market]
        return encode(types, [*head, self.query_id, self.attempt, self.member])


def wrap_content_key(
    content_key: bytes, member_key: X25519PublicKey, context: WrapContext
) -> bytes:
    """`content_key` for one member of one attempt of one query.

    Raises:
        InvalidMessage: nothing can be encrypted to `member_key`.
    """
    return seal_to(member_key, _checked(content_key), context.info())


def unwrap_content_key(
    wrapped: bytes,
    key: X25519PrivateKey,
    context: WrapContext,
    former: Sequence[X25519PrivateKey] = (),
) -> bytes:
    """The content key that the client wrapped to this member, be it to one of its `former` keys:
    a query goes by the key of its epoch.

    Raises:
        InvalidMessage: wrapped to somebody else or for another query or attempt, or changed.
    """
    content_key = open_sealed(wrapped, (key, *former), context.info())
    if content_key is None:
        raise InvalidMessage("the content key is not wrapped for this member and query")
    if len(content_key) != CONTENT_KEY_BYTES:
        raise InvalidMessage(f"a content key has {CONTENT_KEY_BYTES} bytes")
    return content_key


def seal_to(receiver: X25519PublicKey, data: bytes, context: bytes) -> bytes:
    """`data` that only `receiver` reads, bound to `context`.

    Raises:
        InvalidMessage: the key is a point of low order, which anybody may register as its own.
    """
    try:
        return SUITE.encrypt(data, receiver, info=context)
    except ValueError as error:
        raise InvalidMessage("nothing can be encrypted to the receiver's key") from error


def open_sealed(sealed: bytes, keys: Sequence[X25519PrivateKey], context: bytes) -> bytes | None:
    """What `seal_to` took, with the first of `keys` that opens it; None where none does."""
    for key in keys:
        try:
            return SUITE.decrypt(sealed, key, info=context)
        except (InvalidTag, ValueError):
            continue
    return None


def _checked(content_key: bytes) -> bytes:
    if len(content_key) != CONTENT_KEY_BYTES:
        raise InvalidInput(f"a content key has {CONTENT_KEY_BYTES} bytes")
    return content_key


def _derive(content_key: bytes, purpose: _Purpose, data: bytes = b"", length: int = 32) -> bytes:
    info = SEALING_DOMAIN + bytes([PROTOCOL_VERSION, len(purpose.value)]) + purpose.value + data
    return HKDF(SHA256(), length, None, info).derive(_checked(content_key))


def _seal(
    content_key: bytes, purposes: tuple[_Purpose, _Purpose], bound_to: bytes, data: bytes
) -> bytes:
    key_purpose, nonce_purpose = purposes
    nonce = _derive(content_key, nonce_purpose, keccak(bound_to) + keccak(data), NONCE_BYTES)
    cipher = ChaCha20Poly1305(_derive(content_key, key_purpose))
    return nonce + cipher.encrypt(nonce, data, SEALING_DOMAIN + bound_to)


def _open(content_key: bytes, purpose: _Purpose, bound_to: bytes, ciphertext: bytes) -> bytes:
    nonce, body = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
    cipher = ChaCha20Poly1305(_derive(content_key, purpose))
    try:
        return cipher.decrypt(nonce, body, SEALING_DOMAIN + bound_to)
    except (InvalidTag, ValueError) as error:
        raise InvalidMessage("the ciphertext does not open with this key and context") from error
