"""Envelopes: a sealed message with a sender who signed it, a receiver, and an end of life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol import cbor
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest, Timestamp
from nesa.protocol.messages import MAX_MESSAGE_BYTES
from nesa.protocol.shapes import ADDRESS, WORD, blob, fixed, record, uint
from nesa.protocol.signatures import recover_signer

ENVELOPE_DOMAIN: Final = keccak(text="nesa.envelope.v1")

MESSAGES_PATH: Final = "/v1/messages"
"""Where a member takes envelopes, by POST, below its endpoint."""

SHARD_KEYS_PATH: Final = "/v1/shard-keys"
"""Where a developer's release of keys takes an envelope with a request, by POST, below its URL; the
body of its answer is an envelope with the key."""

SESSIONS_PATH: Final = "/v1/sessions"
"""Where a member of a session takes an envelope with a request, by POST, below its endpoint; the
body of its answer is an envelope with the reply."""

TRAINING_PATH: Final = "/v1/split-training"
"""Where the peer of a split training takes an envelope with a request, by POST, below its URL; the
body of its answer is an envelope with the reply."""

MAX_RELEASE_BYTES: Final = 1024
"""Longest envelope of a release, of either kind."""

NONCE_BYTES: Final = 16
MAX_CIPHERTEXT_BYTES: Final = MAX_MESSAGE_BYTES + 256
MAX_ENVELOPE_BYTES: Final = MAX_CIPHERTEXT_BYTES + 512


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message on its way. `sender` and `receiver` are on-chain signers, `nonce` 16 bytes."""

    version: int
    chain_id: int
    market: Address
    sender: Address
    receiver: Address
    nonce: bytes
    deadline: Timestamp
    ciphertext: bytes
    r: bytes
    vs: bytes


_ENVELOPE: Final = record(
    Envelope,
    version=uint(8),
    chain_id=uint(64),
    market=ADDRESS,
    sender=ADDRESS,
    receiver=ADDRESS,
    nonce=fixed(NONCE_BYTES),
    deadline=uint(64),
    ciphertext=blob(MAX_CIPHERTEXT_BYTES),
    r=WORD,
    vs=WORD,
)


def encode_envelope(envelope: Envelope) -> bytes:
    """Canonical bytes of `envelope`.

    Raises:
        InvalidMessage: a field is out of its bounds.
    """
    return cbor.encode(_ENVELOPE.pack(envelope))


def decode_envelope(data: bytes) -> Envelope:
    """The envelope that `data` is the canonical encoding of; its signature is not looked at.

    Raises:
        InvalidMessage: too long, not canonical, another version, or a field that does not fit.
    """
    envelope = _ENVELOPE.unpack(cbor.decode(data, MAX_ENVELOPE_BYTES))
    if envelope.version != PROTOCOL_VERSION:
        raise InvalidMessage(f"protocol version {envelope.version} is not {PROTOCOL_VERSION}")
    return envelope


def envelope_header(
    chain_id: int,
    market: Address,
    sender: Address,
    receiver: Address,
    nonce: bytes,
    deadline: int,
) -> bytes:
    """What both the seal and the signature of an envelope are bound to."""
    types = ["bytes32", "uint256", "uint256", "address", "address", "address", "bytes", "uint256"]
    values = [ENVELOPE_DOMAIN, PROTOCOL_VERSION, chain_id, market, sender, receiver, nonce]
    return encode(types, [*values, deadline])


def header_of(envelope: Envelope) -> bytes:
    """`envelope_header` of an envelope's own fields."""
    return envelope_header(
        envelope.chain_id,
        envelope.market,
        envelope.sender,
        envelope.receiver,
        envelope.nonce,
        envelope.deadline,
    )


def envelope_digest(header: bytes, ciphertext: bytes) -> Digest:
    """The 32 bytes that the sender signs."""
    return Digest(keccak(keccak(header) + keccak(ciphertext)))


def verify_sender(envelope: Envelope) -> None:
    """Check that the envelope's sender signed it.

    Raises:
        InvalidMessage: somebody else did, or nobody.
    """
    digest = envelope_digest(header_of(envelope), envelope.ciphertext)
    if recover_signer(digest, envelope.r, envelope.vs) != envelope.sender:
        raise InvalidMessage("the envelope is not signed by its sender")
