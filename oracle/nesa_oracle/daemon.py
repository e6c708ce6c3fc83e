"""Puts an oracle together from its parts and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import ClientSession
from eth_account.signers.local import LocalAccount

from nesa.chain.committees import DrawnCommittees, drawn_committees
from nesa.chain.connection import Connection, RpcPolicy, RpcRefused
from nesa.chain.contracts import ZERO_ADDRESS, Contracts
from nesa.chain.deployment import Deployment
from nesa.chain.logs import LogReader, ReadPolicy
from nesa.chain.sender import SendPolicy
from nesa.chain.wake import Wake
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import Address, BlockNumber, Digest
from nesa.protocol.queries import Query
from nesa_oracle.assembly import Assembler
from nesa_oracle.checks import Case
from nesa_oracle.config import OracleSettings
from nesa_oracle.engine import Engine, Surroundings
from nesa_oracle.evidence import Gathering, GatherPolicy, HttpEvidence, evidence_session
from nesa_oracle.journal import Journal
from nesa_oracle.observability import Metrics
from nesa_oracle.proofs.verification import ProofChecker
from nesa_oracle.report import Report
from nesa_oracle.server import Health, serving
from nesa_oracle.submission import Submitter

LONGEST_BACKOFF: Final = 5.0
BALANCE_SECONDS: Final = 30.0
_GWEI: Final = 10**9

log = structlog.get_logger("nesa_oracle")


async def run(settings: OracleSettings, account: LocalAccount | None) -> None:
    """Run an oracle until SIGTERM or SIGINT; without an account it sends nothing.

    Raises:
        Incompatible: another chain, deployment or journal than expected.
        InvalidConfiguration: a setting that cannot be used.
        Unavailable: the node does not answer at the start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        serving_task = tasks.create_task(_serve(settings, account))
        await stop.wait()
        log.info("stopping")
        serving_task.cancel()


async def _serve(settings: OracleSettings, account: LocalAccount | None) -> None:
    deployment = Deployment.read(settings.deployment)
    me = ZERO_ADDRESS if account is None else Address(account.address)
    policy = RpcPolicy(poll=settings.poll_seconds)
    async with (
        await Connection.open(settings.rpc_url, deployment, policy) as connection,
        evidence_session() as session,
    ):
        identity = f"{deployment.chain_id} {deployment.market} {me}"
        with contextlib.closing(Journal(settings.journal, identity)) as journal:
            await Oracle(settings, connection, session, journal, account).serve()


@dataclass(frozen=True, slots=True)
class Oracle:
    """The parts of a running oracle."""

    settings: OracleSettings
    connection: Connection
    session: ClientSession
    journal: Journal
    account: LocalAccount | None

    async def serve(self) -> None:
        """Follow the chain and do what is due, until cancelled."""
        metrics, health = Metrics(), Health()
        settings = self.settings
        wake = Wake(settings.poll_seconds, settings.websocket_url)
        async with asyncio.TaskGroup() as tasks:
            engine = self._engine(tasks, metrics)
            engine.restart()
            place = (settings.host, settings.port)
            async with serving(*place, health, metrics, engine.summary):
                log.info("oracle runs", signer=engine.around.me, dry=self.account is None)
                tasks.create_task(wake.listen())
                tasks.create_task(self._watch_balance(engine))
                await self._follow(engine, wake, health)

    async def _follow(self, engine: Engine, wake: Wake, health: Health) -> None:
        reader = LogReader(self.connection, ReadPolicy(self.settings.confirmations))
        backoff = self.settings.poll_seconds
        while True:
            try:
                cursor = self.journal.cursor() or await reader.start()
                batch = await reader.read(cursor)
            except Unavailable as error:
                health.failed(str(error))
                log.warning("chain not readable", reason=str(error))
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, LONGEST_BACKOFF)
                continue
            backoff = self.settings.poll_seconds
            engine.apply(batch)
            engine.advance()
            health.chain_was_read(is_following=engine.is_following)
            metrics = engine.around.metrics
            metrics.head.set(batch.head.number)
            metrics.processed.set(engine.block)
            metrics.jobs.set(len(engine.duties))
            if batch.is_caught_up:
                await wake.wait()

    async def _watch_balance(self, engine: Engine) -> None:
        while self.account is not None:
            with contextlib.suppress(Unavailable):
                found = await self.connection.balance(engine.around.me)
                engine.around.metrics.balance.set(found)
            await asyncio.sleep(BALANCE_SECONDS)

    def _engine(self, tasks: asyncio.TaskGroup, metrics: Metrics) -> Engine:
        settings, deployment = self.settings, self.connection.deployment
        fees = SendPolicy.up_to(settings.max_fee_gwei, settings.patience_seconds)
        me = ZERO_ADDRESS if self.account is None else Address(self.account.address)
        engine = Engine(
            Surroundings(
                me=me,
                chain_id=deployment.chain_id,
                market=deployment.market,
                finality=settings.finality,
                journal=self.journal,
                submitter=Submitter(
                    self.connection,
                    self.journal,
                    self.account,
                    fees,
                    metrics,
                    require_gas_deposit=settings.require_gas_deposit,
                ),
                seed_hash=self._seed_hash,
                read_committees=self._read_committees,
                gather=lambda case, sent: self._gather(engine, case, sent),
                spawn=tasks.create_task,
                clock=time.monotonic,
                metrics=metrics,
            )
        )
        return engine

    async def _seed_hash(self, query: Query) -> Digest:
        return (await self.connection.block(BlockNumber(query.seed_block))).hash

    async def _read_committees(self, query: Query, seed_hash: Digest) -> DrawnCommittees:
        """The draw; seats are never reused while a query needs them, so a node that has forgotten
        the state of the seed block is asked for the newest."""
        deployment = self.connection.deployment
        vault = Contracts(self.connection).vault
        head = (vault, deployment.chain_id, deployment.market, query, seed_hash)
        try:
            return await drawn_committees(*head, BlockNumber(query.seed_block))
        except RpcRefused:
            return await drawn_committees(*head, "latest")

    async def _gather(self, engine: Engine, case: Case, sent: bytes) -> Report:
        policy = GatherPolicy(self.settings.grace_seconds, self.settings.gather_seconds)
        metrics = engine.around.metrics
        checker = ProofChecker(Contracts(self.connection))
        assembler = Assembler(case, sent, checker, lambda: engine.time, metrics)
        source = HttpEvidence(self.session, policy)
        return await Gathering(case, source, policy, metrics).report(assembler.assemble)
