"""Ends seats that nobody should be drawn from: those that a slash has left without stake, and those
of operators whom their version admits no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import structlog
from prometheus_client import Counter

from nesa.chain.leaving import NO_END
from nesa.chain.sender import Reverted
from nesa.chain.unadmitted import (
    EVICTION_GAS,
    RestrictedVersion,
    UnadmittedSeat,
    restricted_versions,
    still_unadmitted,
    unadmitted_seats,
)
from nesa.protocol.errors import NesaError, Rejected, Unmined
from nesa.protocol.ids import Address, VersionId
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.retrying import Retries, reason_of
from nesa_miner.seats import held_seats
from nesa_miner.tasks import Spawn
from nesa_miner.watchtower.admission_costs import AdmissionCosts

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class Evictions:
    """Operators that were slashed, until none of their seats lacks stake.

    `stored` reads what the journal holds. Nobody pays for an eviction: it costs gas.
    """

    room: Courtroom
    stored: Callable[[], Iterable[Address]]
    spawn: Spawn
    clock: Callable[[], float]
    ended: Counter
    pending: set[Address] = field(default_factory=set)
    _retries: Retries[Address] = field(init=False)

    def __post_init__(self) -> None:
        self._retries = Retries(self.spawn, self.clock, _tell, rest=1.0, longest=60.0)

    def reload(self) -> None:
        """Look again at everybody who was slashed: the chain may have changed."""
        self.pending |= set(self.stored())

    def advance(self) -> None:
        """Start everything that is due."""
        for operator in list(self.pending):
            self._retries.start(operator, partial(self._evict, operator))
        self._retries.keep_only(self.pending)

    async def _evict(self, operator: Address) -> None:
        room = self.room
        for seat in await held_seats(room.connection, operator):
            if seat.record.to_epoch != NO_END:
                continue
            call = room.contracts.vault.evict(seat.version_id, seat.shard, seat.slot)
            try:
                await room.sender.send(call, EVICTION_GAS)
            except Rejected as refused:
                # Its stake covers what is left, or somebody else was faster.
                log.debug("seat stays", operator=operator, reason=refused.reason)
                continue
            self.ended.inc()
            _tell_ended(operator, seat.version_id, seat.shard, "without stake")
        self.pending.discard(operator)


def _tell_ended(operator: Address, version_id: VersionId, shard: int, why: str) -> None:
    version = f"0x{version_id.hex()}"
    log.warning("seat evicted", operator=operator, version=version, shard=shard, why=why)


def _tell(operator: Address, seconds: float, error: Exception) -> None:
    log.warning("not evicted yet", operator=operator, seconds=seconds, **reason_of(error))


@dataclass(slots=True)
class Sweeps:
    """Looks every `seconds` whether operators sit in versions that admit them no more.

    A statement of an attestor ends without an event, so that only asking tells. Who is admitted
    may be said by a contract of a developer's own. One that fails keeps nobody from looking at the
    other versions. It is asked no more for a day, about any version, when an eviction was dearer
    than is fair, and about one version when an eviction there was paid for and refused though the
    seat stands and is still not admitted; all of them together cost `gas_a_day` at most.
    """

    room: Courtroom
    spawn: Spawn
    clock: Callable[[], float]
    ended: Counter
    seconds: float
    gas_a_day: int
    _costs: AdmissionCosts = field(init=False)
    _retries: Retries[None] = field(init=False)

    def __post_init__(self) -> None:
        self._costs = AdmissionCosts(self.clock, self.gas_a_day)
        self._retries = Retries(self.spawn, self.clock, _tell_sweep, self.seconds, longest=60.0)

    def advance(self) -> None:
        """Start looking when it is time."""
        self._retries.start(None, self._sweep)

    async def _sweep(self) -> None:
        for version in await restricted_versions(self.room.connection):
            try:
                await self._sweep_version(version)
            except NesaError as error:
                name = f"0x{version.version_id.hex()}"
                log.warning("admission not looked at", version=name, **reason_of(error))

    async def _sweep_version(self, version: RestrictedVersion) -> None:
        if not self._costs.may_ask(version):
            return
        for seat in await unadmitted_seats(self.room.contracts, version.version_id):
            if seat.is_ended:
                continue
            if not self._costs.can_pay(version):
                log.warning("seat stays", operator=seat.operator, reason="the day's gas is spent")
                return
            await self._evict(version, seat)
            if not self._costs.may_ask(version):
                return

    async def _evict(self, version: RestrictedVersion, seat: UnadmittedSeat) -> None:
        try:
            receipt = await self.room.sender.send(seat.eviction(self.room.contracts), EVICTION_GAS)
        except Unmined:
            self._costs.count_unmined(version, EVICTION_GAS)
            raise
        except Reverted as refused:
            self._costs.count(version, refused.receipt.gas_used)
            if await still_unadmitted(self.room.contracts, seat):
                # The contract answers one thing when asked and another when it is paid for.
                self._costs.leave_alone(version)
                raise
            # Who ended this seat first, its operator maybe, keeps nobody else's.
            log.debug("seat stays", operator=seat.operator, reason=refused.reason)
        except Rejected as refused:
            log.debug("seat stays", operator=seat.operator, reason=refused.reason)
        else:
            self._costs.count(version, receipt.gas_used)
            self.ended.inc()
            _tell_ended(seat.operator, seat.version_id, seat.shard, "not admitted")


def _tell_sweep(_: None, seconds: float, error: Exception) -> None:
    log.warning("admissions not looked at", seconds=seconds, **reason_of(error))
