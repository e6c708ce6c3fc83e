"""Puts a watchtower together from its parts and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_account.signers.local import LocalAccount
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.chain.disputes import Challenge
from nesa.chain.logs import Cursor, LogReader, ReadPolicy
from nesa.chain.sender import Sender, SendPolicy
from nesa.models.disputes.game import Side
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import ONE_NES, Amount
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.duties import Standpoint
from nesa_miner.disputes.inputs import Recomputed, recompute
from nesa_miner.disputes.litigation import Litigation
from nesa_miner.shards import ShardLibrary
from nesa_miner.store import FileStore
from nesa_miner.surroundings import WitnessLibrary
from nesa_miner.tasks import TaskPool
from nesa_miner.transport.http import HttpServer
from nesa_miner.watchtower.accusing import Accuser, Means
from nesa_miner.watchtower.config import WatchSettings
from nesa_miner.watchtower.grants import GrantFolder
from nesa_miner.watchtower.journal import WatchJournal
from nesa_miner.watchtower.observability import WatchMetrics
from nesa_miner.watchtower.tower import Tower
from nesa_miner.work import Task

TICK_SECONDS: Final = 0.2
OUTAGE_SECONDS: Final = 1.0
GWEI: Final = 10**9
WEI_PER_COIN: Final = 10**18

log = structlog.get_logger("nesa_miner")


async def run(
    folder: Path, settings: WatchSettings, account: LocalAccount, view_key: X25519PrivateKey
) -> None:
    """Run a watchtower until SIGTERM or SIGINT; `view_key` opens what clients grant to it.

    Raises:
        Incompatible: another chain, deployment or journal than expected, or one without a court.
        InvalidConfiguration: a setting that cannot be used.
        Unavailable: the node does not answer at the start, or the port is taken.
        ExhaustedResource: the disk is full; nothing that was stored is lost.
    """
    deployment = Deployment.read(folder / settings.deployment)
    async with await Connection.open(settings.rpc_url, deployment) as connection:
        name = f"{deployment.chain_id} {deployment.court} {account.address}".encode()
        journal = WatchJournal(folder / settings.journal, name)
        with contextlib.closing(journal):
            store = FileStore(folder / settings.files, settings.stores)
            library = ShardLibrary(connection, store, folder / "proving")
            tasks = TaskPool()
            grants = GrantFolder(
                folder / settings.grants, view_key, deployment.chain_id, deployment.market
            )
            tower = assembled(settings, account, connection, journal, library, grants, tasks)
            await Watchtower(settings, connection, tower).run(tasks)


@dataclass(frozen=True, slots=True)
class Watchtower:
    """Everything that one running watchtower is made of."""

    settings: WatchSettings
    connection: Connection
    tower: Tower

    async def run(self, tasks: TaskPool) -> None:
        """Listen, follow the chain and do what is due until told to stop."""
        self.tower.reload()
        server = HttpServer(self.routes(), self.settings.host, self.settings.port)
        url = await server.start()
        me = self.tower.disputes.me.account
        log.info("watching", url=url, account=me, share=self.settings.share)
        try:
            await tasks.run_until_told(self.follow(), self.tick())
        finally:
            log.info("stopping")
            await server.close()

    async def follow(self) -> None:
        """Read the chain for ever; what cannot be read now is read later."""
        tower, policy = self.tower, ReadPolicy(self.settings.confirmations)
        reader = LogReader(self.connection, policy)
        stored = tower.journal.cursor()
        cursor = Cursor.from_json(stored) if stored else await reader.start()
        while True:
            try:
                batch = await reader.read(cursor)
            except Unavailable as error:
                tower.is_following = False
                log.warning("the chain cannot be read", reason=str(error))
                await asyncio.sleep(OUTAGE_SECONDS)
                continue
            cursor = batch.cursor
            tower.metrics.reorgs.inc(len(batch.undone))
            tower.metrics.head.set(cursor.tip.number)
            tower.apply(batch)
            tower.is_following = batch.is_caught_up
            tower.advance()
            if batch.is_caught_up:
                await asyncio.sleep(self.settings.poll_seconds)

    async def tick(self) -> None:
        """Try again what was put off."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tower.advance()

    def routes(self) -> list[web.RouteDef]:
        """Status, health and metrics; nothing here takes anything in."""
        return [
            web.get("/v1/status", self.status),
            web.get("/healthz", self.health),
            web.get("/readyz", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def status(self, _: web.Request) -> web.Response:
        """Account, answers under watch and challenges under way."""
        tower = self.tower
        return web.json_response(
            {
                "account": tower.disputes.me.account,
                "cases": len(tower.cases),
                "disputes": tower.disputes.summary(),
            }
        )

    async def health(self, _: web.Request) -> web.Response:
        """The process answers."""
        return web.Response(text="ok")

    async def ready(self, _: web.Request) -> web.Response:
        """The chain is followed."""
        if not self.tower.is_following:
            return web.Response(status=503, text="not caught up with the chain")
        return web.Response(text="ready")

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus text format."""
        body = generate_latest(self.tower.metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def assembled(
    settings: WatchSettings,
    account: LocalAccount,
    connection: Connection,
    journal: WatchJournal,
    library: WitnessLibrary,
    grants: GrantFolder,
    tasks: TaskPool,
) -> Tower:
    """A tower with its one sender.

    Raises:
        Incompatible: the deployment has no court.
    """
    policy = SendPolicy(max_fee_per_gas=int(settings.max_fee_gwei * GWEI))
    room = Courtroom.open(connection, Sender(connection, account, policy))
    metrics = WatchMetrics()

    async def compute_again(challenge: Challenge) -> Recomputed:
        asked, charge = await room.history(challenge.query_id), challenge.charge
        task = Task(asked.query, charge.shard, grants.content_key(asked.query))
        return await recompute(library, task, asked.requested.input, charge)

    disputes = Litigation(
        Standpoint(Side.CHALLENGER, room.sender.address),
        journal.court_log,
        room,
        compute_again,
        tasks.spawn,
        time.monotonic,
        metrics.disputes,
    )
    return Tower(
        journal,
        library,
        room.history,
        grants.content_key,
        Accuser(room, _means(settings)),
        disputes,
        settings.share,
        tasks.spawn,
        time.monotonic,
        metrics,
    )


def _means(settings: WatchSettings) -> Means:
    price = settings.coins_per_nes
    wei = None if price is None else int(price * WEI_PER_COIN)
    return Means(Amount(int(settings.max_bonds * ONE_NES)), settings.challenge_gas, wei)
