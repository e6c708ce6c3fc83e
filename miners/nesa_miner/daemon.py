"""Puts a miner together from its parts and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from eth_account import Account

from nesa.chain.committees import DrawnCommittees, drawn_committees
from nesa.chain.connection import Connection
from nesa.chain.contents import ContentReader, content_reader
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Deployment
from nesa.chain.dispute_duties import Standpoint
from nesa.chain.sender import Sender, SendPolicy
from nesa.chain.summonses import Summons
from nesa.models.proving.reference_string import LOCAL_CHAIN_IDS
from nesa.privacy.envelopes import Deployment as EnvelopeDeployment
from nesa.privacy.envelopes import ReplayWindow, open_envelope
from nesa.protocol.errors import (
    ExhaustedResource,
    InvalidInput,
)
from nesa.protocol.ids import ONE_NES, Amount, Timestamp
from nesa.protocol.queries import Query
from nesa.protocol.summons import SummonsRules
from nesa_miner.agreement.terms import Timing
from nesa_miner.applying import CURSOR
from nesa_miner.at_rest import AtRest
from nesa_miner.claiming import Claimer
from nesa_miner.config import MinerSettings
from nesa_miner.convicting import kept_equivocations
from nesa_miner.disputes.bonds import Bonds
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.equivocating import Equivocators
from nesa_miner.disputes.gains import pays_for
from nesa_miner.disputes.inputs import Recomputer
from nesa_miner.disputes.litigation import Litigation, Recompute
from nesa_miner.disputes.observability import DisputeMetrics
from nesa_miner.disputes.suing import Suits
from nesa_miner.engine import Engine
from nesa_miner.identity import Identity
from nesa_miner.journal import Journal, journal_identity
from nesa_miner.observability import Metrics
from nesa_miner.post import Post
from nesa_miner.reading import batches
from nesa_miner.registrations import shown_version
from nesa_miner.rekeying import forget_in_time
from nesa_miner.seats import held_seats
from nesa_miner.server import Routes
from nesa_miner.sessions.attending import Attending
from nesa_miner.sessions.products import LoadedProducts
from nesa_miner.sessions.redeeming import Redeemer
from nesa_miner.sessions.server import SessionsEndpoint
from nesa_miner.sessions.serving import SessionService
from nesa_miner.shard_keys import released_keys
from nesa_miner.shards import ShardKey, open_library
from nesa_miner.summoning import Summoning
from nesa_miner.summonses import Answerer, Answers
from nesa_miner.surroundings import ReadCommittees, Surroundings, WitnessLibrary
from nesa_miner.tasks import TaskPool
from nesa_miner.transport.http import HttpServer, Limits, MessagesEndpoint
from nesa_miner.warming import WarmUp

TICK_SECONDS: Final = 0.02
LIMITS: Final = Limits(from_peer=64, from_all=256, bytes_from_peer=64 << 20)
"""Several miners may share an address, on one machine or behind one gateway."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Inbox:
    """Opens envelopes and gives their messages to the engine."""

    engine: Engine
    window: ReplayWindow

    async def take(self, data: bytes) -> None:
        """Take one envelope.

        Raises:
            InvalidInput: it does not check out.
            ExhaustedResource, Unavailable: it cannot be taken now; it may be sent again.
        """
        around = self.engine.around
        try:
            opened = open_envelope(
                data,
                deployment=around.deployment,
                me=around.identity.address,
                key=around.identity.encryption,
                former=around.identity.former,
                window=self.window,
                now=Timestamp(int(time.time())),
            )
            self.engine.receive(opened)
        except (InvalidInput, ExhaustedResource):
            around.metrics.dropped.inc()
            raise
        around.metrics.messages.inc()
        self.engine.advance()


@dataclass(frozen=True, slots=True)
class Attended:
    """What a miner does in sessions of queries on shares: its answers, and its vouchers."""

    service: SessionService
    redeemer: Redeemer


@dataclass(frozen=True, slots=True)
class Miner:
    """Everything that one running miner is made of."""

    folder: Path
    settings: MinerSettings
    connection: Connection
    engine: Engine
    post: Post
    warm_up: WarmUp
    sessions: Attended | None

    async def run(self, tasks: TaskPool) -> None:
        """Listen, follow the chain and keep deadlines until told to stop."""
        await self.warm_up.begin(await self.seats())
        self.engine.restart()
        server = self.server()
        url = await server.start()
        log.info("listening", url=url, signer=self.engine.around.identity.address)
        try:
            seats = self.warm_up.follow(self.seats, self.engine.roster.needs)
            if self.engine.disputes is not None:
                tasks.spawn(self.engine.disputes.watch_coins())
            if self.sessions is not None:
                tasks.spawn(self.sessions.redeemer.go_on())
            await tasks.run_until_told(self.follow(), self.tick(), self.warm_up.go_on(), seats)
        finally:
            log.info("stopping")
            await server.close()
            await self.post.transport.close()

    async def seats(self) -> list[ShardKey]:
        """The shards that this miner may be drawn for.

        Raises:
            Unavailable: the node does not answer.
        """
        signer = self.engine.around.identity.address
        operator = await Contracts(self.connection).vault.operator_of(signer, "latest")
        if operator is None:
            log.warning("not registered", signer=signer)
            return []
        held = await held_seats(self.connection, operator)
        return [(seat.version_id, seat.shard) for seat in held if seat.record.signer == signer]

    async def follow(self) -> None:
        """Read the chain for ever; what cannot be read now is read later."""
        engine, settings = self.engine, self.settings
        stored = engine.around.journal.fact(CURSOR)
        text = stored.decode() if stored else None
        clocks = (settings.confirmations, settings.poll_seconds)
        async for batch in batches(self.connection, text, *clocks):
            engine.is_following = batch is not None and batch.is_caught_up
            if batch is not None:
                engine.around.metrics.reorgs.inc(len(batch.undone))
                engine.apply(batch)
                engine.advance()

    async def tick(self) -> None:
        """Keep the deadlines of agreements."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.engine.advance()

    def server(self) -> HttpServer:
        """Envelopes, evidence, status and metrics on the configured address."""
        envelopes = MessagesEndpoint(Inbox(self.engine, ReplayWindow()).take, LIMITS)
        shown = Routes(self.engine, self.warm_up.cold, self.folder / self.settings.seat_evidence)
        routes = envelopes.routes() + shown.routes()
        if self.sessions is not None:
            routes += SessionsEndpoint(self.sessions.service.answer).routes()
        return HttpServer(routes, self.settings.host, self.settings.port, LIMITS)


Wrap = Callable[[WitnessLibrary], WitnessLibrary]
"""Puts something between the engine and its shards, such as a cache or an experiment."""


async def run(
    folder: Path, settings: MinerSettings, identity: Identity, wrap: Wrap = lambda shards: shards
) -> None:
    """Run a miner until SIGTERM or SIGINT.

    Raises:
        Incompatible: another chain, deployment or journal than expected.
        InvalidConfiguration: a setting that cannot be used.
        Unavailable: the node does not answer at the start, or the port is taken.
        ExhaustedResource: the disk is full; nothing that was stored is lost.
    """
    deployment = Deployment.read(folder / settings.deployment)
    async with await Connection.open(settings.rpc_url, deployment) as connection:
        name = journal_identity(deployment, identity.address)
        at_rest = AtRest(identity.encryption, former=identity.former)
        journal = Journal(folder / settings.journal, name, at_rest)
        with contextlib.closing(journal):
            keys = released_keys(folder, settings, connection, identity)
            if identity.former:
                journal.keep_under_newest()
                keys.kept.keep_under_newest()
            library = wrap(open_library(folder, settings, connection, keys))
            tasks = TaskPool()
            tasks.spawn(forget_in_time(connection, identity, folder, settings))
            rules = await _summons_rules(connection)
            if settings.allow_private_contents and deployment.chain_id not in LOCAL_CHAIN_IDS:
                log.warning("clients may have this miner read from private addresses")
            async with content_reader(allow_private=settings.allow_private_contents) as contents:
                outside = Outside(connection, journal, library, contents, tasks)
                await _assembled(folder, settings, identity, outside, rules).run(tasks)


async def _summons_rules(connection: Connection) -> SummonsRules | None:
    """Clocks and bond of summonses; None where nobody can be summoned."""
    if connection.deployment.summons is None:
        return None
    return await Summons.of(connection).rules("latest")


@dataclass(frozen=True, slots=True)
class Outside:
    """What a miner is connected to."""

    connection: Connection
    journal: Journal
    library: WitnessLibrary
    contents: ContentReader
    tasks: TaskPool


def _assembled(
    folder: Path,
    settings: MinerSettings,
    identity: Identity,
    outside: Outside,
    rules: SummonsRules | None,
) -> Miner:
    connection, library, tasks = outside.connection, outside.library, outside.tasks
    on_chain = connection.deployment
    deployment = EnvelopeDeployment(on_chain.chain_id, on_chain.market)
    metrics = Metrics()
    post = Post(identity, deployment, metrics, LIMITS)
    sender = _sender(settings, identity, connection)
    surroundings = Surroundings(
        identity,
        deployment,
        outside.journal,
        library,
        _committee_reader(connection),
        post.deliver,
        Claimer(connection, sender).send,
        outside.contents,
        tasks.spawn,
        time.monotonic,
        metrics,
        Timing(settings.commit_seconds, settings.lock_seconds, settings.reveal_seconds),
        settings.retention_seconds,
        settings.memory_limit_mib << 20,
    )
    answers = summoning = None
    if rules is not None:
        answers = _answers(surroundings, Answerer(connection, sender, identity))
    engine = Engine(surroundings, summonses=answers)
    if on_chain.court is not None:
        room = Courtroom.open(connection, sender)
        kept = (surroundings.content_key, surroundings.journal)
        compute_again = Recomputer(library, room.history, *kept, room.products).compute
        disputes = _litigation(surroundings, compute_again, room)
        bonds = Bonds(room, Amount(int(settings.max_bonds * ONE_NES)), "max_bonds")
        suits = _suits(surroundings, compute_again, bonds) if bonds.most else None
        convict = _equivocators(surroundings, room)
        if rules is not None and bonds.most:
            spawn, clock = surroundings.spawn, surroundings.clock
            summoning = Summoning(Summons.of(connection), rules, bonds, spawn, clock)
        engine = Engine(surroundings, disputes, convict, suits, answers, summoning)
    sessions = None
    if on_chain.sessions is not None:
        sessions = _sessions(surroundings, connection, sender, settings.coins_per_nes)
    warm_up = WarmUp(library)
    return Miner(folder, settings, connection, engine, post, warm_up, sessions)


def _sessions(
    around: Surroundings, connection: Connection, sender: Sender, coins_per_nes: float | None
) -> Attended:
    """The part of this miner in sessions."""
    ledger, attending = around.journal.sessions, Attending(connection, around.identity.address)
    parts = (around.identity, around.deployment, ledger, LoadedProducts(around.library))
    wei_per_nes = None if coins_per_nes is None else int(coins_per_nes * 10**18)
    pays = partial(pays_for, connection, Contracts(connection), wei_per_nes)
    return Attended(
        SessionService(*parts, attending.read, attending.seed, time.time, around.retention),
        Redeemer(connection, sender, ledger, attending.read, time.time, pays),
    )


def _answers(around: Surroundings, answerer: Answerer) -> Answers:
    """The answers to summonses of this miner."""
    return Answers(
        around.identity,
        around.journal,
        answerer.send,
        around.spawn,
        around.clock,
        around.metrics,
    )


def _sender(settings: MinerSettings, identity: Identity, connection: Connection) -> Sender:
    """The only one that sends with the signer key."""
    account = Account.from_key(identity.signer.to_bytes())
    policy = SendPolicy.up_to(settings.max_fee_gwei)
    return Sender(connection, account, policy)


def _litigation(around: Surroundings, compute_again: Recompute, room: Courtroom) -> Litigation:
    """The defence of what this miner signed, and the suits that it brought."""
    return Litigation(
        Standpoint(None, around.identity.address),
        around.journal.court_log,
        room,
        compute_again,
        around.spawn,
        around.clock,
        DisputeMetrics(around.metrics.registry, "nesa_miner"),
    )


def _suits(around: Surroundings, compute_again: Recompute, bonds: Bonds) -> Suits:
    """What this miner brings to the court itself."""
    show = partial(shown_version, bonds.room.connection)
    return Suits(bonds.room, around.journal, show, compute_again, bonds, around.spawn, around.clock)


def _equivocators(around: Surroundings, room: Courtroom) -> Equivocators:
    """Members whom this miner has seen sign two outputs of one input."""
    journal = around.journal
    shown = around.metrics.equivocations
    stored = partial(kept_equivocations, journal)
    return Equivocators(room, stored, around.spawn, around.clock, shown, waits=True)


def _committee_reader(connection: Connection) -> ReadCommittees:
    vault = Contracts(connection).vault
    deployment = connection.deployment

    async def read(query: Query) -> DrawnCommittees:
        seed = (await connection.block(query.seed_block)).hash
        # Seats of its epoch stay until the query is final; endpoints may change: read the newest.
        return await drawn_committees(
            vault, deployment.chain_id, deployment.market, query, seed, "latest"
        )

    return read
