"""Split training in sealed and signed envelopes: nobody on the way reads it or speaks for a side.

The client seals to the encryption key that the peer's operator has on chain and knows the answer by
the signature of that operator's signer. Each answer is sealed to a key of its own, which came with
the request: the answer to another one does not open.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey

from nesa.privacy.envelopes import (
    Deployment,
    Receiver,
    ReplayWindow,
    open_envelope,
    seal_envelope,
)
from nesa.privacy.keys import generate_key, public_bytes, public_key
from nesa.privacy.split.training.part import Post
from nesa.privacy.split.training.wire import Reply, Request, decode_request, encode_reply
from nesa.protocol.envelopes import NONCE_BYTES, decode_envelope
from nesa.protocol.errors import InvalidMessage, NotEntitled
from nesa.protocol.ids import Address, Timestamp
from nesa.protocol.messages import Message, TrainingReply, TrainingRequest

ENVELOPE_SECONDS: Final = 15
"""So long an envelope is valid; steps are many, and a peer remembers each of them until then."""

MOST_VALID: Final = 1 << 15
"""Most envelopes of one client that are valid at once: two thousand a second."""

Peer = Callable[[Address, Request], Reply]
"""Does what a client asks, see `TrainingPeer.answer`."""

Clock = Callable[[], float]
"""Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Writer:
    """One side's hand: what it signs with, where, and when."""

    deployment: Deployment
    signer: PrivateKey = field(repr=False)
    clock: Clock

    @property
    def address(self) -> Address:
        """Who signs."""
        return Address(self.signer.public_key.to_checksum_address())

    @property
    def now(self) -> Timestamp:
        """The time, in whole seconds."""
        return Timestamp(int(self.clock()))

    def sealed(self, message: Message, to: Receiver) -> bytes:
        """An envelope that only its receiver opens."""
        return seal_envelope(
            message,
            deployment=self.deployment,
            signer=self.signer,
            receiver=to,
            nonce=secrets.token_bytes(NONCE_BYTES),
            deadline=Timestamp(self.now + ENVELOPE_SECONDS),
        )


def sealing(post: Post, writer: Writer, peer: Receiver) -> Post:
    """Requests to `peer` and its replies, in envelopes that `post` carries.

    It raises InvalidMessage where what comes back is not that peer's answer to the request, and
    what `post` raises.
    """

    async def ask(request: bytes) -> bytes:
        own = generate_key()
        message = TrainingRequest(public_bytes(own), request)
        opened = open_envelope(
            await post(writer.sealed(message, peer)),
            deployment=writer.deployment,
            me=writer.address,
            key=own,
            window=ReplayWindow(),
            now=writer.now,
        )
        if opened.sender != peer.address:
            raise InvalidMessage(f"{opened.sender} answered in place of the peer {peer.address}")
        if not isinstance(opened.message, TrainingReply):
            raise InvalidMessage("the peer answered with something else than a reply")
        return opened.message.body

    return ask


@dataclass(frozen=True, slots=True)
class TrainingService:
    """A training peer for clients whom its operator named; `answer` is for one thread at a time."""

    peer: Peer
    writer: Writer
    encryption: X25519PrivateKey = field(repr=False)
    clients: frozenset[Address]
    window: ReplayWindow = field(default_factory=lambda: ReplayWindow(most_per_sender=MOST_VALID))

    def answer(self, data: bytes) -> bytes:
        """The envelope with the reply to the request in an envelope.

        Raises:
            InvalidInput: not a request, or one that does not fit.
            NotEntitled: by nobody who may train here.
            Unavailable: its deadline has passed or is too far away.
            ExhaustedResource: too many trainings or requests at once.
        """
        # Before anything is opened: a stranger costs no more than to look at its name.
        claimed = decode_envelope(data).sender
        if claimed not in self.clients:
            raise NotEntitled(
                f"{claimed} may not train here; its operator lets accounts in with --allow"
            )
        opened = open_envelope(
            data,
            deployment=self.writer.deployment,
            me=self.writer.address,
            key=self.encryption,
            window=self.window,
            now=self.writer.now,
        )
        asked = opened.message
        if not isinstance(asked, TrainingRequest):
            raise InvalidMessage("only trainings are served here")
        reply = self.peer(opened.sender, decode_request(asked.body))
        to = Receiver(opened.sender, public_key(asked.reply_key))
        return self.writer.sealed(TrainingReply(encode_reply(reply)), to)
