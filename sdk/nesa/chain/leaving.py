"""The way out of an operator: seats are left and released, stake thaws and is paid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from nesa.chain.contracts import Contracts, Ledger, SeatRecord, Vault
from nesa.chain.owner import Owner, nes
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Amount, Seconds, Timestamp, VersionId

NO_END: Final = 2**32 - 1
"""`to_epoch` of a seat that nobody has left."""

_SUMS: Final = ("paid", "stake", "locked", "free", "unbonding")
_TIMES: Final = ("drawn_until", "locked_until", "withdrawable_at", "next_release")


@dataclass(frozen=True, slots=True)
class HeldSeat:
    """One seat and where it is."""

    version_id: VersionId
    shard: int
    slot: int
    record: SeatRecord


@dataclass(frozen=True, slots=True)
class Terms:
    """How long exits take on a chain."""

    epoch: Seconds
    unbonding: Seconds

    def drawn_until(self, seat: SeatRecord) -> Timestamp:
        """When queries stop drawing a seat that was left; zero for one that never began."""
        if seat.from_epoch >= seat.to_epoch:
            return Timestamp(0)
        return Timestamp(seat.to_epoch * self.epoch)

    def released_at(self, seat: SeatRecord) -> Timestamp | None:
        """From when on a seat's stake can be unlocked; None while nobody has left it."""
        if seat.to_epoch == NO_END:
            return None
        drawn_until = self.drawn_until(seat)
        return Timestamp(drawn_until + self.unbonding) if drawn_until else drawn_until


@dataclass(frozen=True, slots=True)
class Left:
    """A seat that was left: until when queries may draw it, and its stake stays locked."""

    shard: int
    slot: int
    drawn_until: Timestamp
    locked_until: Timestamp


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done and what waits: sums in NES units; `next_release` of the seats left so far."""

    released_seats: int
    paid: Amount
    stake: Amount
    locked: Amount
    free: Amount
    unbonding: Amount
    withdrawable_at: Timestamp
    next_release: Timestamp | None
    is_held: bool


ReadSeats: TypeAlias = Callable[[], Awaitable[Sequence[HeldSeat]]]
"""Reads every seat that an owner has and that is not released."""


@dataclass(frozen=True, slots=True)
class Exit:
    """An owner's way out; every step can be repeated."""

    owner: Owner
    seats: ReadSeats

    async def leave(self, seat: HeldSeat) -> Left:
        """End a seat with the current epoch; one that was left already is only described.

        Raises:
            InvalidConfiguration: the owner has no coin for gas.
            Unavailable: the node does not answer.
        """
        record = seat.record
        if record.to_epoch == NO_END:
            await self.owner.require_coins()
            call = self._vault.leave_seat(seat.version_id, seat.shard, seat.slot)
            await self.owner.send(call, "leaving the seat")
            place = (seat.version_id, seat.shard, (seat.slot,))
            (record,) = await self._vault.seats(*place, at="latest")
        terms = await self._terms()
        locked_until = terms.released_at(record) or Timestamp(0)
        return Left(seat.shard, seat.slot, terms.drawn_until(record), locked_until)

    async def withdraw(self) -> Outcome:
        """Release the seats and pay the stake that are due.

        Raises:
            InvalidConfiguration: the owner has no coin for gas.
            Unavailable: the node does not answer.
        """
        await self.owner.require_coins()
        terms, now = await self._terms(), (await self.owner.connection.head()).timestamp
        held = (await self._ledger()).holds > 0
        ends = [(seat, terms.released_at(seat.record)) for seat in await self.seats()]
        due = [seat for seat, end in ends if end is not None and end <= now and not held]
        for seat in due:
            await self._release(seat)
        paid = await self._collect(now)
        waiting = [end for seat, end in ends if end is not None and seat not in due]
        return await self._outcome(len(due), paid, min(waiting, default=None))

    async def unstake(self, amount: Amount | None) -> Outcome:
        """As `withdraw`, then let `amount` of the free stake thaw, or all of it.

        What thaws already starts its time again; what is due is paid before.

        Raises:
            InvalidInput: there is less free stake.
            InvalidConfiguration: the owner has no coin for gas.
            Unavailable: the node does not answer.
        """
        before = await self.withdraw()
        wanted = before.free if amount is None else amount
        if not 0 < wanted <= before.free:
            raise InvalidInput(
                f"{nes(before.free)} are free, {nes(before.locked)} are locked by seats and "
                f"{nes(before.unbonding)} thaw already; leave seats first, or name a smaller sum"
            )
        await self.owner.send(self._vault.call("begin_unbonding", wanted), f"thawing {nes(wanted)}")
        return await self._outcome(before.released_seats, before.paid, before.next_release)

    async def _release(self, seat: HeldSeat) -> None:
        call = self._vault.call("release_seat", seat.version_id, seat.shard, seat.slot)
        await self.owner.send(call, f"releasing the seat in shard {seat.shard}")

    async def _collect(self, now: Timestamp) -> Amount:
        ledger = await self._ledger()
        if not ledger.unbonding or ledger.withdrawable_at > now or ledger.holds:
            return Amount(0)
        await self.owner.send(self._vault.call("withdraw"), f"withdrawing {nes(ledger.unbonding)}")
        return ledger.unbonding

    async def _outcome(
        self, released: int, paid: Amount, next_release: Timestamp | None
    ) -> Outcome:
        ledger = await self._ledger()
        return Outcome(
            released_seats=released,
            paid=paid,
            stake=ledger.stake,
            locked=ledger.locked,
            free=ledger.free,
            unbonding=ledger.unbonding,
            withdrawable_at=ledger.withdrawable_at,
            next_release=next_release,
            is_held=ledger.holds > 0,
        )

    async def _ledger(self) -> Ledger:
        return await self._vault.ledger(self.owner.address, at="latest")

    async def _terms(self) -> Terms:
        vault = self._vault
        epoch = await vault.epoch_seconds(at="latest")
        return Terms(epoch, await vault.unbonding_seconds(at="latest"))

    @property
    def _vault(self) -> Vault:
        return Contracts(self.owner.connection).vault


def in_words(found: Left | Outcome) -> Mapping[str, Any]:
    """Sums in NES and times in UTC, for people."""
    return {name: _word(name, value) for name, value in asdict(found).items()}


def _word(name: str, value: Any) -> Any:
    if name in _SUMS:
        return nes(value)
    if name in _TIMES:
        return _time(value)
    return value


def _time(moment: Timestamp | None) -> str:
    """A time of the chain as people read it; nothing waits for the time zero."""
    if not moment:
        return "-"
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
