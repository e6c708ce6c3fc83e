"""A developer's release of keys in memory, and operators who ask it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address

from nesa.client.key_release.record import ReleaseRecord
from nesa.client.key_release.rules import Standing
from nesa.client.key_release.service import KeyReleaseService, PrivateVersion
from nesa.privacy.envelopes import (
    Deployment,
    Receiver,
    ReplayWindow,
    open_envelope,
    seal_envelope,
)
from nesa.privacy.keys import generate_key, public_bytes
from nesa.privacy.model_secrets import ModelSecret
from nesa.protocol.ids import Address, Timestamp, VersionId, VersionRoot
from nesa.protocol.messages import Message, ShardKey, ShardKeyRequest
from nesa_miner.identity import Identity

NOW = Timestamp(1_000_000)
DEPLOYMENT = Deployment(31337, Address(to_checksum_address("0x" + "aa" * 20)))
SECRET = ModelSecret(b"\x05" * 32)
VERSION = VersionId(b"\x01" * 32)
PRIVATE = PrivateVersion("triage", VersionRoot(b"\x02" * 32), 2)


def identity(number: int) -> Identity:
    return Identity(PrivateKey(bytes(31) + bytes([number])), generate_key())


def standing_of(someone: Identity, number: int) -> Standing:
    operator = Address(to_checksum_address(f"0x{number:040x}"))
    return Standing(operator, someone.address, public_bytes(someone.encryption), True, None)


@dataclass
class Release:
    """The service over a chain that says what a test lets it say."""

    record: Path
    standings: dict[Address, Standing] = field(default_factory=dict)
    now: Timestamp = NOW
    nonces: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The process ends and begins anew: only the record on disk stays."""

        async def standing(_: VersionId, signer: Address) -> Standing | None:
            await asyncio.sleep(0)  # a node takes its time
            return self.standings.get(signer)

        self.service = KeyReleaseService(
            SECRET,
            {VERSION: PRIVATE},
            DEPLOYMENT,
            standing,
            ReleaseRecord(self.record),
            lambda: float(self.now),
        )

    def listed(self, number: int) -> Identity:
        """An operator that the version admits."""
        someone = identity(number)
        self.standings[someone.address] = standing_of(someone, number)
        return someone

    def change(self, someone: Identity, **facts: Any) -> None:
        """What the chain says of an operator now."""
        self.standings[someone.address] = replace(self.standings[someone.address], **facts)

    def asked(
        self,
        someone: Identity,
        shard: int,
        version: VersionId = VERSION,
        message: Message | None = None,
    ) -> bytes:
        """A request on its way."""
        self.nonces += 1
        return seal_envelope(
            message or ShardKeyRequest(version, shard),
            deployment=DEPLOYMENT,
            signer=someone.signer,
            receiver=Receiver(SECRET.address, SECRET.encryption.public_key()),
            nonce=self.nonces.to_bytes(16, "big"),
            deadline=Timestamp(self.now + 60),
        )

    async def ask(self, someone: Identity, shard: int) -> bytes:
        """The key that an operator is answered with, opened with its own."""
        return self.opened(someone, await self.service.answer(self.asked(someone, shard)))

    def opened(self, someone: Identity, answer: bytes) -> bytes:
        """What `someone` reads of an answer."""
        opened = open_envelope(
            answer,
            deployment=DEPLOYMENT,
            me=someone.address,
            key=someone.encryption,
            window=ReplayWindow(),
            now=self.now,
        )
        assert opened.sender == SECRET.address
        assert isinstance(opened.message, ShardKey)
        return opened.message.key
