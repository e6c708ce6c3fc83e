"""Brings vouchers to the chain: when a session is paid in full, else between its end and theirs.

A voucher that brings less than the gas waits for cheaper gas, until it counts no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from nesa.chain.connection import Block, Connection
from nesa.chain.sender import Sender
from nesa.chain.sessions import SharedSessions
from nesa.protocol.errors import ExhaustedResource, NesaError
from nesa.protocol.ids import ZERO_DIGEST, QueryId, Timestamp
from nesa.protocol.sessions import reward
from nesa_miner.sessions.attending import ReadAttendance
from nesa_miner.sessions.ledger import Account, SessionLedger
from nesa_miner.sessions.terms import (
    Attendance,
    Forget,
    Pin,
    Redeem,
    next_step,
    require_voucher_of_payer,
)

PAUSE_SECONDS: Final = 2.0

REDEEM_GAS: Final = 175_000
"""Of the first voucher of a member at the last place of the draw, the dearest one; measured in
benchmarks/results/sessions.md."""

PIN_GAS: Final = 45_000
"""Of keeping a seed block's hash; measured there, too."""

Pays = Callable[[int, int], Awaitable[bool]]
"""Whether so many NES units are worth so much gas at its present price."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Redeemer:
    """Looks after the vouchers of a miner; the journal has them, the chain says what was paid."""

    connection: Connection
    sender: Sender
    ledger: SessionLedger
    attendance: ReadAttendance
    clock: Callable[[], float]
    pays: Pays
    pause: float = PAUSE_SECONDS
    _waiting: set[QueryId] = field(default_factory=set)
    _told: dict[tuple[QueryId, bytes], str] = field(default_factory=dict)
    """Why vouchers wait, by session and seed, as the log has it already."""

    async def go_on(self) -> None:
        """Look after every voucher for ever; what fails is tried again."""
        while True:
            try:
                await self.advance()
            except NesaError as error:
                log.warning("vouchers wait", reason=str(error))
            await asyncio.sleep(self.pause)

    async def advance(self) -> None:
        """Do what is due now.

        Raises:
            Unavailable: the node does not answer.
            ExhaustedResource: the disk is full.
        """
        self.ledger.prune(Timestamp(int(self.clock())))
        waiting = self.ledger.unredeemed()
        for gone in self._told.keys() - {(one.session_id, one.seed) for one in waiting}:
            del self._told[gone]
        if not waiting:
            return
        head = await self.connection.head()
        for account in waiting:
            try:
                await self._look_after(account, head)
            except NesaError as error:
                self._tell(account, str(error))
            else:
                self._told.pop((account.session_id, account.seed), None)

    def _tell(self, account: Account, reason: str) -> None:
        """Once: a voucher whose payer pays no more is looked after until the journal drops it."""
        place = (account.session_id, account.seed)
        if self._told.get(place) != reason:
            self._told[place] = reason
            log.warning("voucher waits", session=account.session_id, reason=reason)

    async def _look_after(self, account: Account, head: Block) -> None:
        attended = await self.attendance(account.session_id, None)
        if account.seed != attended.session.seed:
            require_voucher_of_payer(attended, account.voucher)
        sessions = SharedSessions.of(self.connection)
        paid = await sessions.redeemed_by(account.session_id, attended.operator, "latest")
        pinned = await sessions.pinned_seed(attended.terms.seed_block, "latest") != ZERO_DIGEST
        amount = account.voucher.amount
        match next_step(attended, amount, paid, pinned, head.number, head.timestamp):
            case Redeem():
                if await self._is_worth_it(attended, amount - paid, REDEEM_GAS):
                    await self._redeem(attended, account)
                    paid = amount
            case Pin():
                # What it may still earn counts: later nobody can have the hash kept any more.
                if await self._is_worth_it(attended, attended.most, REDEEM_GAS + PIN_GAS):
                    await self.sender.send(sessions.pin_seed(attended.terms.seed_block))
            case Forget():
                self._waiting.discard(account.session_id)
                log.warning("voucher is over", session=account.session_id, units=amount - paid)
                paid = amount
        if paid != account.redeemed:
            self.ledger.redeemed(account, paid)

    async def _is_worth_it(self, attended: Attendance, amount: int, gas: int) -> bool:
        """Whether a part of the deposit brings the member more than the gas costs it now."""
        session_id, earned = attended.session.session_id, reward(attended.terms, amount)
        is_worth_it = await self.pays(earned, gas)
        if is_worth_it:
            self._waiting.discard(session_id)
        elif session_id not in self._waiting:
            self._waiting.add(session_id)
            log.info("voucher waits for cheaper gas", session=session_id, units=earned)
        return is_worth_it

    async def _redeem(self, attended: Attendance, account: Account) -> None:
        if await self.connection.balance(self.sender.address) == 0:
            raise ExhaustedResource(f"the signer {self.sender.address} has no coin to pay gas with")
        voucher = account.voucher
        call = SharedSessions.of(self.connection).redeem(
            attended.terms, attended.position, voucher.amount, (voucher.r, voucher.vs)
        )
        await self.sender.send(call)
        log.info("voucher redeemed", session=account.session_id, units=voucher.amount)
