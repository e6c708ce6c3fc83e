"""Brings reports to the chain, and answers to who asked: only when it counts, and never twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import structlog
from eth_account.signers.local import LocalAccount

from nesa.chain.abi import ContractCall
from nesa.chain.connection import At, Connection
from nesa.chain.contracts import Contracts
from nesa.chain.economy import GasEscrow
from nesa.chain.history import look_up_query
from nesa.chain.sender import Intent, Reverted, Sender, SendPolicy
from nesa.protocol.errors import Rejected, Unavailable
from nesa.protocol.ids import BlockNumber, Timestamp
from nesa.protocol.queries import Assurance, Outcome, Query, QueryStatus
from nesa.protocol.report_gas import proved_gas
from nesa_oracle.covering import covers, outcome_in, settle
from nesa_oracle.journal import Job, JobKey, Journal
from nesa_oracle.observability import Metrics
from nesa_oracle.report import Report

log = structlog.get_logger("nesa_oracle")


class Fate(Enum):
    """What became of a submission."""

    MINED = auto()
    ANSWERED = auto()  # by somebody, before this one
    EARLY = auto()  # the chain does not take it before the next block
    REFUSED = auto()  # the chain does not want this
    UNCOVERED = auto()  # no coin waits that pays its gas
    TOO_LATE = auto()  # the chance passed; the transaction may still be mined
    DRY = auto()  # it would have been sent if there were a key


FATES: Final[Mapping[str, Fate]] = {
    "market: not open": Fate.ANSWERED,
    "market: no seed yet": Fate.EARLY,
    "market: not settled": Fate.ANSWERED,
    "market: held": Fate.EARLY,
    "market: claims are open": Fate.EARLY,
}
"""What became of a submission by what the market says, word for word."""


class Submitter:
    """Sends reports for one account, or simulates them when it has no key."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        account: LocalAccount | None,
        policy: SendPolicy,
        metrics: Metrics,
        *,
        require_gas_deposit: bool = False,
    ) -> None:
        self._connection = connection
        self._escrow = GasEscrow.of(connection)
        self._require_gas_deposit = require_gas_deposit
        self._outcomes: dict[JobKey, Outcome] = {}
        self._contracts = Contracts(connection)
        self._journal = journal
        self._metrics = metrics
        self._keys: dict[bytes, JobKey] = {}
        self._sender = (
            None
            if account is None
            else Sender(connection, account, policy, on_intent=self._write_ahead)
        )

    def calldata(self, query: Query, report: Report) -> bytes:
        """What is sent for `report`."""
        market = self._contracts.market
        if query.assurance is Assurance.PROVED:
            parts = (report.shards, report.output, report.tensors, report.proofs)
            return market.fulfil_proved(query, *parts).data
        return market.fulfil(query, report.shards, report.output).data

    async def submit(self, job: Job, block: BlockNumber, now: Timestamp, until: Timestamp) -> Fate:
        """Send the job's report; gives up waiting at chain time `until`, seen from `now`.

        `block` is the newest that was read. When it is the seed block itself, only the next one
        can take a report, and the simulation has to be of that one.

        Raises:
            Unavailable: the node does not answer.
            ExhaustedResource: no funds, or gas is dearer than the cap.
        """
        assert job.report is not None
        status = await self._contracts.market.status_of(job.query.query_id, "latest")
        if status is not QueryStatus.OPEN:
            return Fate.ANSWERED
        call = ContractCall(self._contracts.market.address, job.report, "QueryMarket.fulfil")
        at: At = "latest" if block > job.query.seed_block else "pending"
        try:
            async with asyncio.timeout(max(until - now, 1)):
                return await self._send_covered(job, call, at)
        except TimeoutError:
            return Fate.TOO_LATE

    async def settle(self, job: Job) -> None:
        """After the job's report: be credited the coin that waited for it, if any did."""
        outcome = self._outcomes.pop(job.key, None)
        if outcome is not None and self._sender is not None:
            await settle(self._escrow, self._sender, job.query, outcome)

    async def _send_covered(self, job: Job, call: ContractCall, at: At) -> Fate:
        gas = gas_limit(job.query)
        try:
            covered = await self._is_covered(job.query, call, gas, at)
        except Rejected as error:
            return self._refused(job.key, error.reason)
        if not covered:
            self._metrics.uncovered.inc()
            return Fate.UNCOVERED
        return await self._send(job.key, call, gas, at)

    async def _is_covered(self, query: Query, call: ContractCall, gas: int | None, at: At) -> bool:
        """Whether the query's deposit pays the report, where it has to; a dry run costs nothing."""
        if not self._require_gas_deposit or self._sender is None:
            return True
        needed = gas or await self._connection.estimated_gas(call, at, self._sender.address)
        held = await self._escrow.held_for(query.query_id, "latest")
        return covers(held, needed, await self._sender.gas_price())

    async def deliver(self, job: Job) -> Fate:
        """Deliver the answer of the job's query, once nobody can dispute it any more.

        Raises:
            Unavailable: the node does not answer, or does not know the answer any more.
            ExhaustedResource: no funds, or gas is dearer than the cap.
        """
        market, query = self._contracts.market, job.query
        status = await market.status_of(query.query_id, "latest")
        if status is not QueryStatus.FINAL:
            return Fate.EARLY if status is QueryStatus.FULFILLED else Fate.ANSWERED
        asked_in = query.seed_block - 1 if query.attempt == 0 else self._connection.deployment.block
        found = await look_up_query(self._connection, query.query_id, BlockNumber(asked_in))
        if found is None or found.outcome is None or found.fulfilled is None:
            raise Unavailable(f"the node has no log of the answer to query {query.query_id}")
        call = market.deliver(query, found.outcome, found.fulfilled.output)
        return await self._send(job.key, call, None, "latest")

    async def pin_seed(self, query: Query) -> None:
        """Keep the seed's hash on chain unless somebody did.

        Raises:
            Rejected: it is forgotten already.
        """
        market = self._contracts.market
        if await market.pinned_seed(query.seed_block, "latest") is None and self._sender:
            await self._sender.send(market.pin_seed(BlockNumber(query.seed_block)))

    async def _send(self, key: JobKey, call: ContractCall, gas: int | None, at: At) -> Fate:
        if self._sender is None:
            return await self._simulated(key, call, gas, at)
        self._keys[call.data] = key
        try:
            receipt = await self._sender.send(call, gas, at)
        except Reverted as error:
            self._metrics.reverted.inc()
            self._metrics.gas_paid.inc(error.receipt.cost)
            return self._refused(key, error.reason)
        except Rejected as error:
            self._metrics.withheld.inc()
            return self._refused(key, error.reason)
        finally:
            self._keys.pop(call.data, None)
        self._metrics.mined.inc()
        self._metrics.gas_paid.inc(receipt.cost)
        log.info("mined", call=call.label, query=key[0], attempt=key[1], gas=receipt.gas_used)
        outcome = outcome_in(receipt.logs, key[0])
        if outcome is not None:
            self._outcomes[key] = outcome
        return Fate.MINED

    async def _simulated(self, key: JobKey, call: ContractCall, gas: int | None, at: At) -> Fate:
        try:
            await self._connection.call(call, at, gas=gas)
        except Rejected as error:
            return self._refused(key, error.reason)
        return Fate.DRY

    def _refused(self, key: JobKey, reason: str) -> Fate:
        log.warning("refused", query=key[0], attempt=key[1], reason=reason)
        return FATES.get(reason, Fate.REFUSED)

    async def _write_ahead(self, intent: Intent) -> None:
        """Every signed transaction lies in the journal before it leaves."""
        key = self._keys.get(intent.call.data)
        if key is not None:
            self._journal.sending(key, intent)
        self._metrics.sent.inc()


def gas_limit(query: Query) -> int | None:
    """Explicit gas where an estimate cannot be trusted, None where it can."""
    if query.assurance is not Assurance.PROVED:
        return None
    return proved_gas(query.shards, query.callback_gas)
