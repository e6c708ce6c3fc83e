"""Answers requests for keys of shards: opens them, asks the chain, remembers, seals the key."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.events import VersionRegistered
from nesa.client.cards import read_store
from nesa.client.key_release.record import ReleaseRecord
from nesa.client.key_release.rules import (
    Standing,
    read_standing,
    require_entitled,
    require_same_shard,
)
from nesa.models.index import decode_index
from nesa.privacy.envelopes import (
    Deployment,
    Receiver,
    ReplayWindow,
    open_envelope,
    seal_envelope,
)
from nesa.privacy.keys import public_key
from nesa.privacy.model_secrets import ModelSecret
from nesa.protocol.envelopes import NONCE_BYTES
from nesa.protocol.errors import InvalidInput, InvalidMessage, NotEntitled
from nesa.protocol.ids import Address, Timestamp, VersionId, VersionRoot
from nesa.protocol.messages import ShardKey, ShardKeyRequest
from nesa.protocol.versions import version_root

ENVELOPE_SECONDS: Final = 60

ReadStanding = Callable[[VersionId, Address], Awaitable[Standing | None]]
"""Reads what the chain says of a signer's operator in a version."""


@dataclass(frozen=True, slots=True)
class PrivateVersion:
    """A version whose keys are released, and its number of shards."""

    name: str
    root: VersionRoot
    shards: int


@dataclass(frozen=True, slots=True)
class KeyReleaseService:
    """Releases the keys of some versions under one secret."""

    secret: ModelSecret
    versions: Mapping[VersionId, PrivateVersion]
    deployment: Deployment
    standing: ReadStanding
    record: ReleaseRecord
    clock: Callable[[], float]
    window: ReplayWindow = field(default_factory=ReplayWindow)

    async def answer(self, data: bytes) -> bytes:
        """The envelope with the key that an envelope asks for.

        Raises:
            InvalidInput: the request is none.
            NotEntitled: its sender is not given this key.
            Unavailable: its deadline has passed or is too far away, or the node does not answer.
            ExhaustedResource: the sender asks too often, or the disk is full.
        """
        sender, request = self._opened(data)
        version = self.versions.get(request.version_id)
        if version is None or request.shard >= version.shards:
            raise NotEntitled("keys of this version and shard are not released here")
        standing = await self._entitled(sender, request)
        key = self.secret.shard_key(version.root, request.shard)
        message = ShardKey(request.version_id, request.shard, key)
        return self._sealed(message, Receiver(sender, public_key(standing.encryption_key)))

    async def _entitled(self, sender: Address, request: ShardKeyRequest) -> Standing:
        version_id, shard = request.version_id, request.shard
        standing = await self.standing(version_id, sender)
        entitled = require_entitled(standing, sender, shard)
        # Kept before the key leaves, so that of two requests at once one is refused.
        kept = self.record.keep(version_id, entitled.operator, shard)
        require_same_shard(entitled.operator, shard, kept)
        return entitled

    def _opened(self, data: bytes) -> tuple[Address, ShardKeyRequest]:
        opened = open_envelope(
            data,
            deployment=self.deployment,
            me=self.secret.address,
            key=self.secret.encryption,
            window=self.window,
            now=self._now,
        )
        if not isinstance(opened.message, ShardKeyRequest):
            raise InvalidMessage("only keys of shards are given here")
        return opened.sender, opened.message

    def _sealed(self, message: ShardKey, receiver: Receiver) -> bytes:
        return seal_envelope(
            message,
            deployment=self.deployment,
            signer=self.secret.signer,
            receiver=receiver,
            nonce=os.urandom(NONCE_BYTES),
            deadline=Timestamp(self._now + ENVELOPE_SECONDS),
        )

    @property
    def _now(self) -> Timestamp:
        return Timestamp(int(self.clock()))


def standing_on(connection: Connection) -> ReadStanding:
    """Standings at the newest block."""
    contracts = Contracts(connection)

    async def read(version_id: VersionId, signer: Address) -> Standing | None:
        return await read_standing(contracts, version_id, signer, "latest")

    return read


async def private_versions(
    connection: Connection, registered: Sequence[VersionRegistered], secret: ModelSecret
) -> dict[VersionId, PrivateVersion]:
    """What is needed of these versions to release their keys.

    Raises:
        InvalidInput: a version is not private, was published under another secret, or seats
            everybody.
        Unavailable, IntegrityError: its index is not to be had.
    """
    found = {}
    for event in registered:
        index = decode_index(await read_store(event.location))
        if index.private is None:
            raise InvalidInput(f"{event.name} is published in the clear and has no keys")
        if index.private.release.signer != secret.address:
            raise InvalidInput(f"{event.name} was published under another secret")
        found[event.version_id] = await _private_version(connection, event)
    return found


async def _private_version(connection: Connection, event: VersionRegistered) -> PrivateVersion:
    registry = Contracts(connection).registry
    if await registry.admission_of(event.version_id, at="latest") is None:
        raise InvalidInput(f"{event.name} seats everybody, so that everybody would have its keys")
    count = await registry.shard_count(event.version_id, at="latest")
    shards = [await registry.shard(event.version_id, one, at="latest") for one in range(count)]
    root = version_root(event.operators_root, shards, event.metadata_digest)
    return PrivateVersion(event.name, root, count)
