"""Puts a watchtower together from its parts and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from aiohttp import ClientSession, DummyCookieJar, web
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_account.signers.local import LocalAccount
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from nesa.chain.connection import Connection
from nesa.chain.contents import content_reader
from nesa.chain.deployment import Deployment
from nesa.chain.dispute_duties import Standpoint
from nesa.chain.sender import Sender, SendPolicy
from nesa.models.disputes.game import Side
from nesa.protocol.ids import ONE_NES, Address, Amount
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.equivocating import Equivocators
from nesa_miner.disputes.inputs import Recomputer
from nesa_miner.disputes.litigation import Litigation
from nesa_miner.reading import batches
from nesa_miner.shards import open_library
from nesa_miner.tasks import TaskPool
from nesa_miner.transport.http import HttpServer
from nesa_miner.watchtower.accusing import Accuser, Means
from nesa_miner.watchtower.config import WatchSettings
from nesa_miner.watchtower.evicting import Evictions, Sweeps
from nesa_miner.watchtower.grants import GrantFolder
from nesa_miner.watchtower.journal import WatchJournal, journal_identity
from nesa_miner.watchtower.observability import WatchMetrics
from nesa_miner.watchtower.proving import FaultProver, ProvingLibrary
from nesa_miner.watchtower.requests import RequestReader
from nesa_miner.watchtower.statements import Gatherer, HttpMembers, Members
from nesa_miner.watchtower.tower import Tower

TICK_SECONDS: Final = 0.2
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
        name = journal_identity(deployment, Address(account.address))
        journal = WatchJournal(folder / settings.journal, name)
        with contextlib.closing(journal):
            library = open_library(folder, settings, connection)
            tasks = TaskPool()
            grants = GrantFolder(
                folder / settings.grants, view_key, deployment.chain_id, deployment.market
            )
            allow_private = settings.allow_private_contents
            async with (
                ClientSession(cookie_jar=DummyCookieJar()) as session,
                content_reader(allow_private=allow_private) as contents,
            ):
                requests = RequestReader(connection, library, contents, grants.content_key)
                sources = Sources(library, HttpMembers(session), grants, requests)
                tower = assembled(settings, account, connection, journal, sources, tasks)
                await Watchtower(settings, connection, tower).run(tasks)


@dataclass(frozen=True, slots=True)
class Watchtower:
    """Everything that one running watchtower is made of."""

    settings: WatchSettings
    connection: Connection
    tower: Tower

    async def run(self, tasks: TaskPool) -> None:
        """Listen, follow the chain and do what is due until told to stop."""
        self.tower.restart()
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
        tower, settings = self.tower, self.settings
        clocks = (settings.confirmations, settings.poll_seconds)
        async for batch in batches(self.connection, tower.journal.cursor(), *clocks):
            tower.is_following = batch is not None and batch.is_caught_up
            if batch is not None:
                tower.metrics.reorgs.inc(len(batch.undone))
                tower.metrics.head.set(batch.cursor.tip.number)
                tower.apply(batch)
                tower.advance()

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
        """Account, what was checked, answers under watch and challenges under way."""
        return web.json_response(self.tower.summary())

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


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a watchtower reads besides the chain."""

    library: ProvingLibrary
    members: Members
    grants: GrantFolder
    requests: RequestReader


def assembled(
    settings: WatchSettings,
    account: LocalAccount,
    connection: Connection,
    journal: WatchJournal,
    sources: Sources,
    tasks: TaskPool,
) -> Tower:
    """A tower with its one sender.

    Raises:
        Incompatible: the deployment has no court.
    """
    policy = SendPolicy.up_to(settings.max_fee_gwei)
    room = Courtroom.open(connection, Sender(connection, account, policy))
    metrics, means, running = WatchMetrics(), _means(settings), (tasks.spawn, time.monotonic)
    prover = FaultProver(sources.library, tasks.spawn) if settings.fault_proofs else None
    evictions = Evictions(room, journal.slashed, *running, metrics.evictions)
    pace = (settings.admission_seconds, settings.admission_gas)
    sweeps = Sweeps(room, *running, metrics.evictions, *pace)
    return Tower(
        journal,
        sources.library,
        room.history,
        sources.grants.content_key,
        Gatherer(connection, sources.members).equivocations,
        Accuser(room, means, prover),
        _litigation(room, journal, sources, metrics, tasks),
        Equivocators(
            room, journal.equivocations, *running, metrics.equivocations, means.wei_per_nes
        ),
        evictions if settings.evict else None,
        sweeps if settings.evict else None,
        settings.share,
        *running,
        metrics,
        sources.requests.complete,
    )


def _litigation(
    room: Courtroom,
    journal: WatchJournal,
    sources: Sources,
    metrics: WatchMetrics,
    tasks: TaskPool,
) -> Litigation:
    """The challenges that this watchtower plays."""
    history = sources.requests.completing(room.history)
    recomputer = Recomputer(sources.library, history, sources.grants.content_key)
    return Litigation(
        Standpoint(Side.CHALLENGER, room.sender.address),
        journal.court_log,
        room,
        recomputer.compute,
        tasks.spawn,
        time.monotonic,
        metrics.disputes,
    )


def _means(settings: WatchSettings) -> Means:
    price = settings.coins_per_nes
    wei = None if price is None else int(price * WEI_PER_COIN)
    return Means(Amount(int(settings.max_bonds * ONE_NES)), settings.challenge_gas, wei)
