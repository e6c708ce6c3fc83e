"""Sealing a message to one receiver, and opening it there once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from eth_keys.datatypes import PrivateKey

from nesa.privacy.sealing import open_sealed, seal_to
from nesa.protocol.envelopes import (
    Envelope,
    decode_envelope,
    encode_envelope,
    envelope_digest,
    envelope_header,
    header_of,
    verify_sender,
)
from nesa.protocol.errors import ExhaustedResource, InvalidMessage, Unavailable
from nesa.protocol.ids import PROTOCOL_VERSION, Address, Timestamp
from nesa.protocol.messages import Message
from nesa.protocol.signatures import sign_digest
from nesa.protocol.wire import decode_message, encode_message

MAX_LIFETIME: Final = 120
"""Seconds that an envelope may still be valid for when it arrives."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The chain and the market that messages are about."""

    chain_id: int
    market: Address


@dataclass(frozen=True, slots=True)
class Receiver:
    """Whom an envelope is for: on-chain signer, and X25519 key from the vault."""

    address: Address
    key: X25519PublicKey


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope's content and the account that signed it."""

    sender: Address
    message: Message


@dataclass(slots=True)
class ReplayWindow:
    """Nonces seen, each kept until its envelope's deadline; bounded for each sender.

    It does not outlive the process: what arrives twice after a restart must do no harm. That is
    why the sender who was silent longest may make room for a new one: strangers, who can have any
    number of keys, keep nobody out.
    """

    most_per_sender: int = 4096
    most_senders: int = 1024
    _seen: dict[Address, dict[bytes, Timestamp]] = field(default_factory=dict)

    def admit(self, envelope: Envelope, now: Timestamp) -> None:
        """Remember the envelope's nonce.

        Raises:
            InvalidMessage: seen before.
            ExhaustedResource: the sender has too many that are still valid.
        """
        nonces = self._valid(envelope.sender, now)
        if envelope.nonce in nonces:
            raise InvalidMessage("the envelope was received before")
        if len(nonces) >= self.most_per_sender:
            raise ExhaustedResource("the sender has too many envelopes that are still valid")
        self._seen.pop(envelope.sender, None)
        while len(self._seen) >= self.most_senders:
            del self._seen[next(iter(self._seen))]
        self._seen[envelope.sender] = {**nonces, envelope.nonce: envelope.deadline}

    def _valid(self, sender: Address, now: Timestamp) -> dict[bytes, Timestamp]:
        nonces = self._seen.get(sender, {})
        return {nonce: until for nonce, until in nonces.items() if until >= now}


def seal_envelope(
    message: Message,
    *,
    deployment: Deployment,
    signer: PrivateKey,
    receiver: Receiver,
    nonce: bytes,
    deadline: Timestamp,
) -> bytes:
    """`message` signed by `signer` and sealed to `receiver`; `nonce` is 16 fresh random bytes.

    Raises:
        InvalidMessage: the message or a field is out of its bounds, or the receiver's key is none.
    """
    sender = Address(signer.public_key.to_checksum_address())
    header = envelope_header(
        deployment.chain_id, deployment.market, sender, receiver.address, nonce, deadline
    )
    ciphertext = seal_to(receiver.key, encode_message(message), header)
    r, vs = sign_digest(signer, envelope_digest(header, ciphertext))
    envelope = Envelope(
        PROTOCOL_VERSION,
        deployment.chain_id,
        deployment.market,
        sender,
        receiver.address,
        nonce,
        deadline,
        ciphertext,
        r,
        vs,
    )
    return encode_envelope(envelope)


def open_envelope(
    data: bytes,
    *,
    deployment: Deployment,
    me: Address,
    key: X25519PrivateKey,
    former: Sequence[X25519PrivateKey] = (),
    window: ReplayWindow,
    now: Timestamp,
) -> Opened:
    """The message in `data` and who signed it; whether that sender may say it is another question.

    What was sealed to one of the `former` keys opens too.

    Raises:
        InvalidMessage: not for this deployment or receiver, forged, seen before, or garbage.
        Unavailable: late, or clocks differ; sealed again it may be in time.
        ExhaustedResource: the sender has too many envelopes that are still valid.
    """
    envelope = decode_envelope(data)
    _check_addressing(envelope, deployment, me)
    if not now <= envelope.deadline <= now + MAX_LIFETIME:
        raise Unavailable("the envelope's deadline has passed or is too far away")
    verify_sender(envelope)
    window.admit(envelope, now)
    content = open_sealed(envelope.ciphertext, (key, *former), header_of(envelope))
    if content is None:
        raise InvalidMessage("the envelope is not sealed to this receiver")
    return Opened(envelope.sender, decode_message(content))


def _check_addressing(envelope: Envelope, deployment: Deployment, me: Address) -> None:
    if (envelope.chain_id, envelope.market) != (deployment.chain_id, deployment.market):
        raise InvalidMessage("the envelope is for another chain or market")
    if envelope.receiver != me:
        raise InvalidMessage("the envelope is for another receiver")
