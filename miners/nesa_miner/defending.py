"""Defends what an operator's signers signed, from its owner's account: their keys may be lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_account.signers.local import LocalAccount
from prometheus_client import CollectorRegistry

from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.chain.dispute_duties import Standpoint
from nesa.chain.events import SignerRotated
from nesa.chain.logs import Batch
from nesa.chain.sender import Sender, SendPolicy
from nesa.models.disputes.game import Side
from nesa.privacy.envelopes import Deployment as EnvelopeDeployment
from nesa.protocol.errors import Incompatible, InvalidConfiguration
from nesa.protocol.ids import Address, Timestamp
from nesa.protocol.queries import Query
from nesa_miner.applying import log_bytes
from nesa_miner.at_rest import AtRest
from nesa_miner.config import MinerSettings
from nesa_miner.disputes.court_log import COURT_EVENTS, CourtLog
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.inputs import Recomputer
from nesa_miner.disputes.litigation import LONG_AGO, Litigation
from nesa_miner.disputes.observability import DisputeMetrics
from nesa_miner.identity import kept_content_key
from nesa_miner.journal import Journal, journal_identity
from nesa_miner.journal_file import Format, JournalFile
from nesa_miner.reading import batches
from nesa_miner.registrations import signers_of
from nesa_miner.shard_keys import KeptShardKeys
from nesa_miner.shards import ShardLibrary, open_library
from nesa_miner.tasks import TaskPool

JOURNAL: Final = "defence.sqlite"
FORMAT: Final = Format(version=1, schema=COURT_EVENTS)
CURSOR: Final = "cursor"
TICK_SECONDS: Final = 0.5

log = structlog.get_logger("nesa_miner")


async def run(
    folder: Path,
    settings: MinerSettings,
    owner: LocalAccount,
    encryption: Sequence[X25519PrivateKey],
) -> None:
    """Defend until SIGTERM or SIGINT; of the encryption keys the newest comes first.

    Raises:
        InvalidConfiguration: the owner is no operator, or another process does this already.
        Incompatible: another chain than expected, or one without a court.
        Unavailable: the node does not answer at the start.
    """
    deployment = Deployment.read(folder / settings.deployment)
    async with await Connection.open(settings.rpc_url, deployment) as connection:
        policy = SendPolicy.up_to(settings.max_fee_gwei)
        room = Courtroom.open(connection, Sender(connection, owner, policy))
        signers = await signers_of(connection, room.sender.address)
        if not signers:
            raise InvalidConfiguration(
                f"{owner.address} is no operator on this chain, so it has nothing to defend"
            )
        name = f"{deployment.chain_id} {deployment.court} {owner.address}".encode()
        with (
            closing(JournalFile(folder / JOURNAL, name, FORMAT)) as file,
            kept_work(folder / settings.journal, deployment, signers, encryption) as kept,
        ):
            tasks = TaskPool()
            keys = KeptShardKeys(folder / settings.shard_keys, encryption[0], encryption[1:])
            library = open_library(folder, settings, connection, keys)
            litigation = _litigation(room, signers, CourtLog(file), library, kept, tasks)
            log.info("defending", owner=owner.address, signers=sorted(signers))
            defence = OwnersDefence(file, litigation)
            await tasks.run_until_told(defence.follow(settings), defence.tick())


@dataclass(slots=True)
class OwnersDefence:
    """Follows the court's events and plays the games of all signers of an operator."""

    file: JournalFile
    litigation: Litigation
    is_following: bool = False
    chain_time: Timestamp = LONG_AGO

    async def follow(self, settings: MinerSettings) -> None:
        """Read the chain for ever."""
        self.litigation.reload()
        stored = self.file.fact(CURSOR)
        text = None if stored is None else stored.decode()
        clocks = (settings.confirmations, settings.poll_seconds)
        async for batch in batches(self.litigation.room.connection, text, *clocks):
            self.is_following = batch is not None and batch.is_caught_up
            if batch is not None:
                self.apply(batch)
                self.advance()

    def apply(self, batch: Batch) -> None:
        """Take in what happened on chain, together with the cursor, in one transaction."""
        self.chain_time = batch.head.timestamp
        told = [(log_bytes(event.log), event) for event in batch.events]
        undone = [log_bytes(one.log) for one in batch.undone]
        with self.file.transaction():
            self.litigation.store(undone, told, self.chain_time)
            self.file.set_fact(CURSOR, batch.cursor.to_json().encode())
        self.litigation.reload()
        for event in batch.events:
            me = self.litigation.me
            if isinstance(event, SignerRotated) and event.operator == me.account:
                self.litigation.me = replace(me, signers=me.signers | {event.signer})

    def advance(self) -> None:
        """Start everything that is due; nothing before the chain is read to its end."""
        if self.is_following:
            self.litigation.advance(self.chain_time)

    async def tick(self) -> None:
        """Try again what was put off."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.advance()


def _litigation(
    room: Courtroom,
    signers: frozenset[Address],
    court_log: CourtLog,
    library: ShardLibrary,
    kept: KeptWork | None,
    tasks: TaskPool,
) -> Litigation:
    if kept is None:
        recomputer = Recomputer(library, room.history, lambda _: None)
    else:
        recomputer = Recomputer(
            library, room.history, kept.content_key, kept.journal, room.products
        )
    metrics = DisputeMetrics(CollectorRegistry(), "nesa_owner")
    me = Standpoint(Side.DEFENDER, room.sender.address, signers)
    return Litigation(me, court_log, room, recomputer.compute, tasks.spawn, time.monotonic, metrics)


@dataclass(frozen=True, slots=True)
class KeptWork:
    """What a miner that does not run any more was given: the journal of `signer`."""

    journal: Journal
    signer: Address
    encryption: Sequence[X25519PrivateKey]
    deployment: Deployment

    def content_key(self, query: Query) -> bytes | None:
        """What opens a sealed query; None of an open one, or where it was never sent."""
        place = EnvelopeDeployment(self.deployment.chain_id, self.deployment.market)
        return kept_content_key(self.journal, query, self.encryption, self.signer, place)


@contextlib.contextmanager
def kept_work(
    path: Path,
    deployment: Deployment,
    signers: frozenset[Address],
    encryption: Sequence[X25519PrivateKey],
) -> Iterator[KeptWork | None]:
    """The journal at `path`; None where there is none, it is another's, or it is in use.

    Without it a shard behind a wrong one, and a sealed one, cannot be computed again.
    """
    kept, at_rest = None, AtRest(encryption[0], former=encryption[1:])
    for signer in sorted(signers) if path.is_file() else ():
        try:
            journal = Journal(path, journal_identity(deployment, signer), at_rest)
        except Incompatible:
            continue  # another signer's
        except InvalidConfiguration as error:
            log.warning("the miner's journal is left alone", reason=str(error))
            break
        kept = KeptWork(journal, signer, encryption, deployment)
        break
    try:
        yield kept
    finally:
        if kept is not None:
            kept.journal.close()
