"""Split training: a peer that this client's account trains with, and one that it serves."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey

from nesa.client.parts.connected import Connected
from nesa.client.split_training.operators import find_peer, operator_with
from nesa.client.split_training.remote import posting
from nesa.privacy.envelopes import Deployment
from nesa.privacy.split.training.part import Post
from nesa.privacy.split.training.sealed import Peer, TrainingService, Writer
from nesa.protocol.ids import Address


class Training(Connected):
    """Both sides of split training under keys that the chain knows."""

    @asynccontextmanager
    async def training_peer(self, operator: Address, url: str) -> AsyncIterator[Post]:
        """The way to the peer of a registered operator at `url`, for `RemotePart.open`: what goes
        there is sealed to the operator's key and signed by this client's, and no answer of anybody
        else is taken.

        Raises:
            InvalidInput: nobody registered under this account.
            InvalidConfiguration: this client has no key.
            Unavailable: the node does not answer.
        """
        peer = await find_peer(self.contracts, operator)
        async with posting(url, self._writer, peer) as post:
            yield post

    async def training_service(
        self, peer: Peer, encryption: X25519PrivateKey, clients: Iterable[Address]
    ) -> tuple[Address, TrainingService]:
        """The operator whose signer this client's key is, and `peer` as it serves `clients`.

        Raises:
            InvalidConfiguration: the key is no operator's signer, or the encryption key another.
            Unavailable: the node does not answer.
        """
        operator = await operator_with(self.contracts, self.address, encryption)
        return operator, TrainingService(peer, self._writer, encryption, frozenset(clients))

    @property
    def _writer(self) -> Writer:
        on_chain = self.connection.deployment
        signer = PrivateKey(bytes(self._payer.key))
        return Writer(Deployment(on_chain.chain_id, on_chain.market), signer, time.time)
