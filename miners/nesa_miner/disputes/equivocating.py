"""Members that signed two outputs of one input, until the court has convicted them.

The court knows whom it convicted, and a claim that was announced: so nothing is remembered here but
the signatures themselves, and a kill or a reorganisation costs at most some gas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import structlog
from eth_utils.crypto import keccak
from prometheus_client import Counter

from nesa.chain.disputes import equivocation_evidence
from nesa.protocol.faults import Equivocation
from nesa.protocol.ids import Address, QueryId
from nesa.protocol.slashing import credited
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.gains import require_gain
from nesa_miner.retrying import Retries, reason_of
from nesa_miner.tasks import Spawn

EQUIVOCATION_GAS: Final = 400_000
"""More than announcing, showing and collecting take together: 267,000 were measured."""

TURNS: Final = 8
TURN_SECONDS: Final = 15.0
"""Committee members that saw the same wait for each other, so that one of them pays the gas."""

Stored: TypeAlias = Iterable[tuple[Address, Equivocation]]
"""(signer, what convicts it)."""

log = structlog.get_logger("nesa_miner")


class Convictable(NamedTuple):
    """Whom the court convicts once."""

    query_id: QueryId
    shard: int
    signer: Address


@dataclass(slots=True)
class Equivocators:
    """Shows what members signed twice, from one account, to which rewards are paid.

    `stored` reads what the journal holds. With `waits` this account lets others go first by turns
    that the evidence decides.
    """

    room: Courtroom
    stored: Callable[[], Stored]
    spawn: Spawn
    clock: Callable[[], float]
    shown: Counter
    wei_per_nes: int | None = None
    waits: bool = False
    pending: dict[Convictable, Equivocation] = field(default_factory=dict)
    _retries: Retries[Convictable] = field(init=False)

    def __post_init__(self) -> None:
        self._retries = Retries(self.spawn, self.clock, _tell, rest=1.0, longest=600.0)

    def reload(self) -> None:
        """Take up what the journal holds, also what seemed done: the chain may have changed."""
        for signer, fault in self.stored():
            self.add(signer, fault)

    def add(self, signer: Address, fault: Equivocation) -> None:
        """Take up what convicts `signer`; its signatures and sets have been checked.

        Nobody slashes itself.
        """
        context = fault.first.context
        key = Convictable(context.query_id, context.shard, signer)
        if key in self.pending or signer == self.room.sender.address:
            return
        self.pending[key] = fault
        if self.waits:
            evidence = equivocation_evidence(fault)
            self._retries.put_off(key, TURN_SECONDS * turn_of(self.room.sender.address, evidence))

    def advance(self) -> None:
        """Start everything that is due."""
        for key, fault in list(self.pending.items()):
            self._retries.start(key, partial(self._show, key, fault))
        self._retries.keep_only(self.pending)

    async def _show(self, key: Convictable, fault: Equivocation) -> None:
        room, court = self.room, self.room.court
        operator = await room.operator_of(key.signer)
        if operator is None or await court.is_convicted(*key, "latest"):
            del self.pending[key]
            return
        limits = await room.contracts.parameters.request_limits("latest")
        ledger = await room.contracts.vault.ledger(operator, "latest")
        backing = await room.contracts.vault.backing(operator, "latest")
        own = ledger.stake - backing.delegated
        reward = credited(min(limits.seat_stake, ledger.stake), own, backing.creditable)
        if not reward:
            log.info("nothing to take", operator=operator, **key._asdict())
            del self.pending[key]
            return
        await require_gain(room, reward, EQUIVOCATION_GAS, self.wei_per_nes)
        if not await room.has_announced(equivocation_evidence(fault)):
            return
        await room.send(court.show_equivocation(fault))
        self.shown.inc()
        log.warning("equivocation shown", **key._asdict(), operator=operator)
        await room.collect(room.sender.address)


def turn_of(account: Address, evidence: bytes) -> int:
    """How many turns `account` waits before it shows `evidence`."""
    return keccak(evidence + bytes.fromhex(account[2:]))[0] % TURNS


def _tell(key: Convictable, seconds: float, error: Exception) -> None:
    place: Mapping[str, object] = key._asdict()
    log.warning("equivocation not shown yet", seconds=seconds, **place, **reason_of(error))
