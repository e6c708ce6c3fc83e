"""The members of a session over HTTP: asked in sealed envelopes, paid by vouchers as they go."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from eth_keys.datatypes import PrivateKey

from nesa.chain.committees import Seat
from nesa.chain.web import read_bounded
from nesa.privacy.envelopes import (
    Deployment,
    Receiver,
    ReplayWindow,
    open_envelope,
    seal_envelope,
)
from nesa.privacy.keys import generate_key, public_bytes, public_key
from nesa.privacy.shared.groups import Spares
from nesa.privacy.shared.late import LateReplies
from nesa.privacy.shared.statements import Session
from nesa.protocol.envelopes import MAX_ENVELOPE_BYTES, NONCE_BYTES, SESSIONS_PATH
from nesa.protocol.errors import InvalidMessage, NesaError, NotEntitled, Unavailable
from nesa.protocol.ids import Address, Amount, Timestamp
from nesa.protocol.messages import SessionReply, SessionRequest
from nesa.protocol.sessions import Voucher, sign_voucher

ENVELOPE_SECONDS: Final = 60
MOST_TRIES: Final = 5
PAUSE_SECONDS: Final = 0.3
MOST_REASON_BYTES: Final = 512
PAYING_SECONDS: Final = 3.0
"""How long members that do not take their last voucher may hold up a finished answer."""

NOTHING_PAID: Final = (bytes(32), bytes(32))


@dataclass(slots=True)
class Purse:
    """What a session's client owes its members, and the key that signs for it.

    `price` is that of one product for one member; `most` what all of them are worth.
    """

    key: PrivateKey = field(repr=False)
    session: Session
    price: Amount
    most: Amount
    owed: dict[Address, Amount] = field(default_factory=dict)
    paid: dict[Address, Amount] = field(default_factory=dict)

    @property
    def payer(self) -> Address:
        """Who signs."""
        return Address(self.key.public_key.to_checksum_address())

    @property
    def spent(self) -> Amount:
        """What all members may have of the deposit."""
        return Amount(sum(self.owed.values()))

    def settle(self, operator: Address) -> None:
        """Owe an operator one product more."""
        owed = self.owed.get(operator, 0) + self.price
        self.owed[operator] = Amount(min(owed, self.most))

    def voucher(self, operator: Address) -> tuple[Amount, bytes, bytes]:
        """The newest voucher of an operator; zero words where nothing is owed yet."""
        amount = self.owed.get(operator, Amount(0))
        if not amount:
            return (amount, *NOTHING_PAID)
        voucher = Voucher(self.session.session_id, operator, amount)
        place = (self.session.chain_id, self.session.contract)
        return (amount, *sign_voucher(self.key, *place, voucher))

    def told(self, operator: Address, paid: Amount) -> None:
        """An operator holds a voucher of this amount, or of more that it named before."""
        self.paid[operator] = max(paid, self.paid.get(operator, paid))

    def is_settled(self, operator: Address) -> bool:
        """Whether an operator holds all that it is owed."""
        return self.paid.get(operator, 0) >= self.owed.get(operator, 0)


@dataclass(frozen=True, slots=True)
class Members:
    """The drawn seats of a session by their signers, and the way to them."""

    http: aiohttp.ClientSession
    deployment: Deployment
    seats: Mapping[Address, Seat]
    purse: Purse
    late: LateReplies = field(default_factory=LateReplies)

    async def ask(self, member: Address, body: bytes) -> bytes:
        """A member's reply; a request that did not get through is sent again.

        Raises:
            Unavailable: it does not answer.
            InvalidMessage: it answers with something else than a reply, or refuses.
            NotEntitled: it wants to be paid first.
        """
        seat, tries = self.seats[member], 0
        while True:
            try:
                return await self._exchange(seat, body)
            except Unavailable:
                tries += 1
                if tries >= MOST_TRIES:
                    raise
                await asyncio.sleep(PAUSE_SECONDS * tries)

    async def pay(self, seconds: float) -> tuple[Address, ...]:
        """Bring everybody its newest voucher within `seconds`; returns signers that did not take
        theirs. Who is at work on a reply is waited for as long, and paid for it too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*map(self._pay, self.seats))
        return self.unpaid

    @property
    def unpaid(self) -> tuple[Address, ...]:
        """Signers that have not taken their newest vouchers."""
        return tuple(
            signer
            for signer, seat in self.seats.items()
            if not self.purse.is_settled(seat.operator)
        )

    async def leave(self) -> None:
        """Pay for the last time, in `PAYING_SECONDS`, and wait for no reply any more."""
        try:
            await self.pay(PAYING_SECONDS)
        finally:
            await self.late.stop()

    async def _pay(self, signer: Address) -> None:
        await self.late.arrived(signer)
        if not self.purse.is_settled(self.seats[signer].operator):
            with contextlib.suppress(NesaError):
                await self.ask(signer, b"")

    async def _exchange(self, seat: Seat, body: bytes) -> bytes:
        own = generate_key()
        voucher = self.purse.voucher(seat.operator)
        session_id = self.purse.session.session_id
        request = SessionRequest(session_id, *voucher, public_bytes(own), body)
        sealed = seal_envelope(
            request,
            deployment=self.deployment,
            signer=self.purse.key,
            receiver=Receiver(seat.signer, public_key(seat.encryption_key)),
            nonce=secrets.token_bytes(NONCE_BYTES),
            deadline=Timestamp(int(time.time()) + ENVELOPE_SECONDS),
        )
        opened = open_envelope(
            await self._posted(seat, sealed),
            deployment=self.deployment,
            me=self.purse.payer,
            key=own,
            window=ReplayWindow(),
            now=Timestamp(int(time.time())),
        )
        reply = opened.message
        if not isinstance(reply, SessionReply) or opened.sender != seat.signer:
            raise InvalidMessage("answered with something else than a reply")
        if reply.session_id != session_id:
            raise InvalidMessage("answered for another session")
        self.purse.told(seat.operator, reply.paid)
        return reply.body

    async def _posted(self, seat: Seat, envelope: bytes) -> bytes:
        """The body that a member answers an envelope with."""
        url = seat.endpoint.rstrip("/") + SESSIONS_PATH
        try:
            async with self.http.post(url, data=envelope, allow_redirects=False) as response:
                body = await read_bounded(response.content, MAX_ENVELOPE_BYTES)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"does not answer ({type(error).__name__})") from error
        if body is None:
            raise InvalidMessage("its answer is over the size limit of an envelope")
        if status == 200:
            return body
        reason = body[:MOST_REASON_BYTES].decode(errors="replace")
        match status:
            case 400 | 413:
                raise InvalidMessage(f"refused: {reason}")
            case 403:
                raise NotEntitled(f"refused: {reason}")
        raise Unavailable(f"answered with status {status}: {reason}")


class NetworkGroup:
    """One of a session's two groups; those who fail are replaced by spares of the draw."""

    at_once = 1
    """Each product is paid for before the next: neither side can lose more than one's price."""

    def __init__(
        self, name: str, members: Sequence[Address], spares: Spares, reached: Members
    ) -> None:
        self.name, self.members = name, tuple(members)
        self._spares, self._reached = spares, reached
        self.late = reached.late

    def settle(self, member: Address) -> None:
        """Owe a member one product more."""
        self._reached.purse.settle(self._reached.seats[member].operator)

    def replace(self, failed: Collection[Address]) -> bool:
        """See `Group.replace`."""
        found = self._spares.stand_in(self.members, failed)
        if found is not None:
            self.members = found
        return found is not None

    async def ask(self, member: Address, request: bytes) -> bytes:
        """See `Group.ask`."""
        return await self._reached.ask(member, request)
