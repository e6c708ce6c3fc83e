"""What only the logs tell: where a version's files are, and in which versions an operator sits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from eth_utils.address import to_canonical_address

from nesa.chain.abi import interface
from nesa.chain.connection import Connection, RpcRefused
from nesa.chain.contracts import Contracts
from nesa.chain.disputes import ShownVersion
from nesa.chain.events import (
    EncryptionKeyChanged,
    OperatorRegistered,
    RawLog,
    SeatTaken,
    SignerRotated,
    VersionRegistered,
    decode_event,
    raw_log,
)
from nesa.protocol.errors import InvalidInput, Unavailable
from nesa.protocol.ids import Address, BlockNumber, Epoch, VersionId
from nesa.protocol.queries import Query
from nesa.protocol.versions import shards_digest

LARGEST_CHUNK: Final = 100_000
"""Blocks asked for at once; halved whenever the node finds that too many."""


async def find_registration(connection: Connection, version_id: VersionId) -> VersionRegistered:
    """The registration of a version.

    Raises:
        InvalidInput: the version was never registered here.
        Unavailable: the node does not answer.
    """
    registry = connection.deployment.registry
    topics = [_topic("ModelRegistry", "VersionRegistered"), version_id]
    async for log in _logs_backwards(connection, registry, topics):
        event = decode_event(log)
        if isinstance(event, VersionRegistered):
            return event
    raise InvalidInput(
        f"version 0x{version_id.hex()} is not registered on chain "
        f"{connection.deployment.chain_id}; `nesa model list` shows those that are"
    )


async def versions_of(connection: Connection, operator: Address) -> tuple[VersionId, ...]:
    """Versions in which an operator ever took a seat, newest first.

    Raises:
        Unavailable: the node does not answer.
    """
    padded = to_canonical_address(operator).rjust(32, b"\0")
    topics = [_topic("StakeVault", "SeatTaken"), None, padded]
    found: dict[VersionId, None] = {}
    async for log in _logs_backwards(connection, connection.deployment.vault, topics):
        event = decode_event(log)
        if isinstance(event, SeatTaken):
            found[event.version_id] = None
    return tuple(found)


async def signers_of(connection: Connection, operator: Address) -> frozenset[Address]:
    """Every signer that an operator ever had; none when it never registered.

    Raises:
        Unavailable: the node does not answer.
    """
    padded = to_canonical_address(operator).rjust(32, b"\0")
    found: set[Address] = set()
    for name in ("OperatorRegistered", "SignerRotated"):
        topics = [_topic("StakeVault", name), padded]
        async for log in _logs_backwards(connection, connection.deployment.vault, topics):
            event = decode_event(log)
            if isinstance(event, OperatorRegistered | SignerRotated):
                found.add(event.signer)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """From which epoch on an operator's encryption key is used."""

    encryption_key: bytes
    from_epoch: Epoch


async def encryption_keys_of(connection: Connection, operator: Address) -> tuple[KeyChange, ...]:
    """Every encryption key that an operator ever named, oldest first.

    Raises:
        Unavailable: the node does not answer.
    """
    padded = to_canonical_address(operator).rjust(32, b"\0")
    found: list[KeyChange] = []
    for name in ("EncryptionKeyChanged", "OperatorRegistered"):
        topics = [_topic("StakeVault", name), padded]
        async for log in _logs_backwards(connection, connection.deployment.vault, topics):
            match decode_event(log):
                case EncryptionKeyChanged() as changed:
                    found.append(KeyChange(changed.encryption_key, changed.from_epoch))
                case OperatorRegistered() as registered:
                    found.append(KeyChange(registered.encryption_key, Epoch(0)))
    # An operator registers once, before it changes anything.
    return tuple(reversed(found))


def _topic(contract: str, event: str) -> bytes:
    return next(shape.topic for shape in interface(contract).events if shape.name == event)


async def _logs_backwards(
    connection: Connection, address: Address, topics: Sequence[bytes | None]
) -> AsyncIterator[RawLog]:
    """Matching logs since the deployment, newest first, in as few requests as the node allows."""
    last, chunk = (await connection.head()).number, LARGEST_CHUNK
    while last >= connection.deployment.block:
        first = max(connection.deployment.block, last - chunk + 1)
        try:
            logs = await _logs(connection, address, topics, first, last)
        except RpcRefused as error:
            if first == last or error.is_transient:
                raise
            chunk = max((last - first + 1) // 2, 1)
            continue
        for log in reversed(logs):
            yield log
        last = BlockNumber(first - 1)


async def _logs(
    connection: Connection,
    address: Address,
    topics: Sequence[bytes | None],
    first: int,
    last: int,
) -> list[RawLog]:
    wanted = {
        "address": address,
        "topics": [None if topic is None else f"0x{topic.hex()}" for topic in topics],
        "fromBlock": hex(first),
        "toBlock": hex(last),
    }
    found = await connection.request("eth_getLogs", wanted)
    if not isinstance(found, list):
        raise Unavailable("the node answered garbage where logs were expected")
    return sorted((raw_log(log) for log in found), key=lambda log: log.key)


async def shown_version(connection: Connection, query: Query) -> ShownVersion:
    """What the version of a query is the hash of; errors as `find_registration`."""
    event = await find_registration(connection, query.version_id)
    registry = Contracts(connection).registry
    shards = [
        await registry.shard(query.version_id, number, "latest") for number in range(query.shards)
    ]
    digest = shards_digest(shards)
    return ShownVersion(event.developer, event.operators_root, digest, event.metadata_digest)
