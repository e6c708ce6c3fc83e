"""Keys of private shards: asked for once at the developer's release, kept encrypted, never shown.

What a key opens is decrypted in memory when the shard is loaded. On disk there are the ciphertext,
as it was published, and the key under the miner's encryption key.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import aiohttp
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_utils.address import to_checksum_address

from nesa.chain.connection import Connection
from nesa.chain.web import read_bounded
from nesa.models.index import Index, KeyRelease, unword
from nesa.privacy.envelopes import (
    Deployment,
    Receiver,
    ReplayWindow,
    open_envelope,
    seal_envelope,
)
from nesa.privacy.keys import public_key
from nesa.protocol.envelopes import MAX_RELEASE_BYTES, NONCE_BYTES, SHARD_KEYS_PATH
from nesa.protocol.errors import (
    IntegrityError,
    InvalidInput,
    InvalidMessage,
    NotEntitled,
    Unavailable,
)
from nesa.protocol.ids import Address, Timestamp, VersionId
from nesa.protocol.messages import ShardKey, ShardKeyRequest
from nesa_miner.at_rest import AtRest
from nesa_miner.config import MinerSettings
from nesa_miner.identity import Identity

ENVELOPE_SECONDS: Final = 60
MOST_REASON_BYTES: Final = 400
TIMEOUT: Final = aiohttp.ClientTimeout(total=20)

_PURPOSE: Final = b"nesa.shard-key.v1"
_KEY_FILE: Final = re.compile(r"([0-9a-f]{64})\.([0-7])\.key")


class ShardKeys(Protocol):
    """Keys of private shards, as far as they are here or to be had."""

    async def key(self, index: Index, version_id: VersionId, shard: int) -> bytes:
        """The key of a shard of the private version with this index.

        Raises:
            NotEntitled: it is not for whoever asks.
            InvalidInput: there is none, or something else was answered.
            Unavailable: it is not to be had at the moment.
            IntegrityError: the stored one was changed.
        """


class NoShardKeys:
    """Of whoever holds no seats, such as a watchtower."""

    async def key(self, index: Index, version_id: VersionId, shard: int) -> bytes:
        """Never one.

        Raises:
            NotEntitled: always.
        """
        raise NotEntitled(f"the weights of {index.card.name} are for its operators only")


NO_KEYS: Final = NoShardKeys()


@dataclass(frozen=True, slots=True)
class KeptShardKeys:
    """The keys that a miner was given, each in a file of its own that the miner's key opens."""

    folder: Path
    encryption: X25519PrivateKey = field(repr=False)
    former: Sequence[X25519PrivateKey] = field(default=(), repr=False)

    async def key(self, index: Index, version_id: VersionId, shard: int) -> bytes:
        """A key that is here.

        Raises:
            NotEntitled: it is not.
            IntegrityError: it was stored under another key, or changed.
        """
        found = self.read(version_id, shard)
        if found is None:
            raise NotEntitled(f"the key of shard {shard} of {index.card.name} is not here")
        return found

    def read(self, version_id: VersionId, shard: int) -> bytes | None:
        """A key, None where there is no file.

        Raises:
            IntegrityError: see `key`.
        """
        try:
            stored = self._path(version_id, shard).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return self._at_rest(version_id, shard).decrypt(stored)
        except IntegrityError as error:
            path = self._path(version_id, shard)
            raise IntegrityError(
                f"{path}: {error}; remove it, and the developer is asked for the key again"
            ) from error

    def write(self, version_id: VersionId, shard: int, key: bytes) -> None:
        """Keep a key, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_whole(self._path(version_id, shard), self._at_rest(version_id, shard).encrypt(key))

    def keep_under_newest(self) -> None:
        """Store again what was stored under a former key, which can be forgotten then."""
        for path in sorted(self.folder.glob("*.key")):
            match = _KEY_FILE.fullmatch(path.name)
            if match is None:
                continue
            at_rest = self._at_rest(VersionId(bytes.fromhex(match[1])), int(match[2]))
            if (stored := at_rest.under_newest(path.read_bytes())) is not None:
                _write_whole(path, stored)

    def _path(self, version_id: VersionId, shard: int) -> Path:
        return self.folder / f"{version_id.hex()}.{shard}.key"

    def _at_rest(self, version_id: VersionId, shard: int) -> AtRest:
        return AtRest(self.encryption, _PURPOSE + version_id + bytes([shard]), self.former)


@dataclass(frozen=True, slots=True)
class ReleasedShardKeys:
    """Keys that the developer releases to this operator, asked for when they are first needed."""

    kept: KeptShardKeys
    deployment: Deployment
    identity: Identity
    clock: Callable[[], float] = time.time

    async def key(self, index: Index, version_id: VersionId, shard: int) -> bytes:
        """A key that is kept, else as released now.

        Raises:
            NotEntitled: the developer refuses.
            InvalidInput: it answers with something else than the key.
            Unavailable: nobody answers at the URL of the index.
            IntegrityError: the stored key was changed.
        """
        found = self.kept.read(version_id, shard)
        if found is None:
            found = await self._ask(index, version_id, shard)
            self.kept.write(version_id, shard, found)
        return found

    async def _ask(self, index: Index, version_id: VersionId, shard: int) -> bytes:
        if index.private is None:
            raise InvalidInput(f"{index.card.name} is not private and has no keys")
        release = index.private.release
        body = self._sealed(release, ShardKeyRequest(version_id, shard))
        return self._opened(release, await _post(release, body), version_id, shard)

    def _sealed(self, release: KeyRelease, request: ShardKeyRequest) -> bytes:
        receiver = Receiver(_signer_of(release), public_key(unword(release.encryption_key)))
        return seal_envelope(
            request,
            deployment=self.deployment,
            signer=self.identity.signer,
            receiver=receiver,
            nonce=os.urandom(NONCE_BYTES),
            deadline=Timestamp(int(self.clock()) + ENVELOPE_SECONDS),
        )

    def _opened(self, release: KeyRelease, data: bytes, version_id: VersionId, shard: int) -> bytes:
        opened = open_envelope(
            data,
            deployment=self.deployment,
            me=self.identity.address,
            key=self.identity.encryption,
            former=self.identity.former,
            window=ReplayWindow(),
            now=Timestamp(int(self.clock())),
        )
        match opened.message:
            case ShardKey(of, number, key) if (of, number) == (version_id, shard):
                if opened.sender == _signer_of(release):
                    return key
        raise InvalidMessage(f"{release.url} answered with something else than the shard's key")


def released_keys(
    folder: Path, settings: MinerSettings, connection: Connection, identity: Identity
) -> ReleasedShardKeys:
    """The keys of the miner in `folder`."""
    on_chain = connection.deployment
    kept = KeptShardKeys(folder / settings.shard_keys, identity.encryption, identity.former)
    return ReleasedShardKeys(kept, Deployment(on_chain.chain_id, on_chain.market), identity)


def _write_whole(path: Path, stored: bytes) -> None:
    draft = path.with_suffix(f".{os.getpid()}.part")
    draft.write_bytes(stored)
    draft.replace(path)


def _signer_of(release: KeyRelease) -> Address:
    return Address(to_checksum_address(release.signer))


async def _post(release: KeyRelease, body: bytes) -> bytes:
    """What the release answers to an envelope.

    Raises:
        NotEntitled: it refuses.
        InvalidInput: it understands the envelope otherwise.
        Unavailable: it does not answer.
    """
    url = release.url.rstrip("/") + SHARD_KEYS_PATH
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(url, data=body, allow_redirects=False) as response,
        ):
            answer = await read_bounded(response.content, MAX_RELEASE_BYTES)
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise Unavailable(
            f"the release of keys at {release.url} does not answer ({type(error).__name__}); ask "
            "the developer, who runs `nesa model release-keys`"
        ) from error
    if status == 200 and answer is not None:
        return answer
    reason = (answer or b"")[:MOST_REASON_BYTES].decode(errors="replace")
    if status == 403:
        raise NotEntitled(f"the developer releases no key: {reason}")
    if status == 400:
        raise InvalidInput(f"the release of keys at {release.url} refuses: {reason}")
    raise Unavailable(f"the release of keys at {release.url} answered with status {status}")
