"""Answers the payers of sessions: a share in, sums and a signature out, as long as it is paid."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from nesa.privacy.envelopes import (
    Deployment,
    Receiver,
    ReplayWindow,
    open_envelope,
    seal_envelope,
)
from nesa.privacy.keys import public_key
from nesa.privacy.shared.members import Work, multiplied, signed_reply
from nesa.privacy.shared.statements import Session
from nesa.privacy.shared.wire import ShareRequest, decode_request, encode_reply
from nesa.protocol.envelopes import NONCE_BYTES
from nesa.protocol.errors import ExhaustedResource, InvalidMessage, NotEntitled
from nesa.protocol.ids import Address, Amount, QueryId, Timestamp
from nesa.protocol.messages import SessionReply, SessionRequest
from nesa_miner.identity import Identity
from nesa_miner.sessions.attending import ReadAttendance, ReadSeed
from nesa_miner.sessions.ledger import SessionLedger
from nesa_miner.sessions.products import LoadedProducts
from nesa_miner.sessions.terms import (
    Attendance,
    newer_voucher,
    require_open,
    require_paid,
    require_redeemable,
    require_voucher_of_payer,
)

ENVELOPE_SECONDS: Final = 60
MOST_AT_ONCE: Final = 8
"""Products that are computed at once, of all sessions."""

MOST_OF_ONE: Final = 2
"""Requests of one session at once: one that is worked on, and one that waits."""

MOST_OPEN: Final = 32
"""Requests that are worked on or wait at once, of all sessions."""

MOST_AGAIN: Final = 8
"""So often one statement is computed again for a client that lost it."""

MOST_COUNTED: Final = 4_096
"""Statements whose repetitions are counted, the newest ones."""


@dataclass(slots=True)
class SessionService:
    """Serves the products of the sessions that a miner was drawn for.

    `retention` seconds after its vouchers ended a session may be forgotten.
    """

    identity: Identity
    deployment: Deployment
    ledger: SessionLedger
    products: LoadedProducts
    attendance: ReadAttendance
    seed: ReadSeed
    clock: Callable[[], float]
    retention: int
    window: ReplayWindow = field(default_factory=ReplayWindow)
    _turns: WeakValueDictionary[QueryId, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _open: Counter[QueryId] = field(default_factory=Counter)
    _again: OrderedDict[tuple[Session, int, int], int] = field(default_factory=OrderedDict)
    _going: set[asyncio.Task[SessionReply]] = field(default_factory=set)
    _computing: int = 0

    async def answer(self, data: bytes) -> bytes:
        """The envelope with the reply to the request in an envelope.

        Raises:
            InvalidInput: it does not check out; NotEntitled: it is not paid for, or nobody's who
                may ask; ReusedRandomness: its seed came before.
            Unavailable: it cannot be answered now; it may be sent again.
            ExhaustedResource: too much at once, or the disk is full.
            IntegrityError: this machine does not compute what it did before.
        """
        sender, request = self._opened(data)
        attended = await self.attendance(request.session_id, sender)
        require_open(attended, sender, self._now)
        going = asyncio.create_task(self._placed(attended, request))
        self._going.add(going)
        going.add_done_callback(self._forget)
        # A thread goes on when its request is given up: until it ends, it keeps its place.
        reply = await asyncio.shield(going)
        return self._sealed(reply, sender, public_key(request.reply_key))

    def _forget(self, ended: asyncio.Task[SessionReply]) -> None:
        """A failure was told to whoever still waited."""
        self._going.discard(ended)
        if not ended.cancelled():
            ended.exception()

    async def _placed(self, attended: Attendance, request: SessionRequest) -> SessionReply:
        with self._place(request.session_id):
            return await self._served(attended, request)

    @contextmanager
    def _place(self, asked: QueryId) -> Iterator[None]:
        """A place among the requests that are open, for payers of sessions only; no session takes
        those of the others."""
        if self._open[asked] >= MOST_OF_ONE or self._open.total() >= MOST_OPEN:
            raise ExhaustedResource("too many requests at once")
        self._open[asked] += 1
        try:
            yield
        finally:
            self._open[asked] -= 1
            self._open += Counter()  # drops sessions without any

    async def _served(self, attended: Attendance, request: SessionRequest) -> SessionReply:
        """One request of a session after the other: each must be paid before the next but one."""
        async with self._turns.setdefault(request.session_id, asyncio.Lock()):
            self._take_over(attended)
            await self._require_redeemable(attended)
            paid = self._paid(attended, request)
            body = await self._multiplied(attended, request, paid) if request.body else b""
        return SessionReply(request.session_id, paid, body)

    def _take_over(self, attended: Attendance) -> None:
        """Goes on with what a former format stored, unless its voucher is another client's: the
        number may have been one before a reorganisation. Without a voucher nobody can tell, and a
        member that forgot what it said would contradict itself."""
        former = self.ledger.former_voucher(attended.session.session_id)
        if former is None:
            return
        with suppress(InvalidMessage):
            if former.amount:
                require_voucher_of_payer(attended, former)
            self.ledger.take_over(attended.session)

    async def _require_redeemable(self, attended: Attendance) -> None:
        """Whoever holds a voucher has the seed kept in time."""
        if not self.ledger.voucher(attended.session).amount:
            require_redeemable(attended, *await self.seed(attended))

    def _paid(self, attended: Attendance, request: SessionRequest) -> Amount:
        """What the member was paid, with what this request pays."""
        ledger, session = self.ledger, attended.session
        held = ledger.voucher(session)
        newer = newer_voucher(attended, held, request)
        if newer is None:
            return held.amount
        ledger.open(session, Timestamp(attended.disputed_until + self.retention))
        ledger.keep_voucher(session, newer)
        return newer.amount

    async def _multiplied(
        self, attended: Attendance, request: SessionRequest, paid: Amount
    ) -> bytes:
        share, ledger, session = decode_request(request.body), self.ledger, attended.session
        if share.number >= len(attended.products):
            raise InvalidMessage(f"the session has {len(attended.products)} products")
        place, is_repeated = (session, share.number, share.round), ledger.has_served(session, share)
        if is_repeated:
            self._require_few(place)
        else:
            require_paid(attended, ledger.served(session), paid)
        ledger.open(session, Timestamp(attended.disputed_until + self.retention))
        ledger.admit_seed(session.session_id, share)
        work = await self._run(attended, share)
        if is_repeated:
            self._count_again(place)
        ledger.state(session, share, work)
        signer = self.identity.signer
        return encode_reply(signed_reply(signer, session, share, work))

    def _require_few(self, place: tuple[Session, int, int]) -> None:
        """A repetition is not paid for, and costs as much as the first time."""
        times = self._again.get(place, 0)
        if times >= MOST_AGAIN:
            raise NotEntitled(f"this was answered {times + 1} times")

    def _count_again(self, place: tuple[Session, int, int]) -> None:
        self._again[place] = self._again.get(place, 0) + 1
        self._again.move_to_end(place)
        if len(self._again) > MOST_COUNTED:
            self._again.popitem(last=False)

    async def _run(self, attended: Attendance, share: ShareRequest) -> Work:
        version_id = attended.products[share.number]
        facts, runner = await self.products.runner(version_id)
        if self._computing >= MOST_AT_ONCE:
            raise ExhaustedResource("too many products are computed at once")
        self._computing += 1
        try:
            return await asyncio.to_thread(multiplied, share, facts, runner.run)
        finally:
            self._computing -= 1

    def _opened(self, data: bytes) -> tuple[Address, SessionRequest]:
        opened = open_envelope(
            data,
            deployment=self.deployment,
            me=self.identity.address,
            key=self.identity.encryption,
            former=self.identity.former,
            window=self.window,
            now=self._now,
        )
        if not isinstance(opened.message, SessionRequest):
            raise InvalidMessage("only products of sessions are asked for here")
        return opened.sender, opened.message

    def _sealed(self, reply: SessionReply, to: Address, key: X25519PublicKey) -> bytes:
        return seal_envelope(
            reply,
            deployment=self.deployment,
            signer=self.identity.signer,
            receiver=Receiver(to, key),
            nonce=secrets.token_bytes(NONCE_BYTES),
            deadline=Timestamp(self._now + ENVELOPE_SECONDS),
        )

    @property
    def _now(self) -> Timestamp:
        return Timestamp(int(self.clock()))
