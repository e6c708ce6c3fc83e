"""Sends transactions of one key so that each takes effect once, also when the network is slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from eth_account.signers.local import LocalAccount

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Connection, RpcRefused, data_bytes, quantity
from nesa.chain.events import RawLog, raw_log
from nesa.protocol.errors import ExhaustedResource, Rejected, Unavailable
from nesa.protocol.ids import Address, BlockNumber, Digest

BUMP_NUMERATOR: Final = 1_125
BUMP_DENOMINATOR: Final = 1_000
"""Nodes replace a transaction only when both fees rise by a tenth; 12.5 % leaves room."""

_GWEI: Final = 10**9


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """Patience and prices. Fees in wei a gas, times in seconds.

    A transaction that is not mined after `patience` is replaced by a dearer one until
    `max_fee_per_gas`; after `give_up` the sender stops and says so.
    """

    max_fee_per_gas: int = 500 * _GWEI
    min_tip: int = _GWEI // 10
    patience: float = 30.0
    give_up: float = 600.0
    poll: float = 0.1
    gas_margin_percent: int = 25
    max_in_flight: int = 16


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction bids, in wei a gas."""

    max_fee: int
    tip: int

    def bumped(self, cap: int) -> Fees | None:
        """The next bid that replaces this one; None when it would pass `cap`."""
        max_fee, tip = _raised(self.max_fee), _raised(self.tip)
        return None if max_fee > cap else Fees(max_fee, tip)

    def at_least(self, other: Fees) -> Fees:
        """Both fees at least those of `other`."""
        return Fees(max(self.max_fee, other.max_fee), max(self.tip, other.tip))


@dataclass(frozen=True, slots=True)
class Intent:
    """A signed transaction that is about to leave; told to `on_intent` before it does."""

    call: ContractCall
    nonce: int
    tx_hash: Digest
    raw: bytes
    fees: Fees


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction in a block."""

    tx_hash: Digest
    block_number: BlockNumber
    block_hash: Digest
    succeeded: bool
    gas_used: int
    gas_price: int
    logs: tuple[RawLog, ...] = field(repr=False)

    @property
    def cost(self) -> int:
        """Wei paid."""
        return self.gas_used * self.gas_price


class Reverted(Rejected):
    """A transaction was mined and refused: its gas is spent, nothing else happened."""

    def __init__(self, reason: str, receipt: Receipt) -> None:
        super().__init__(reason)
        self.receipt = receipt


OnIntent = Callable[[Intent], Awaitable[None]]


async def _forget(_: Intent) -> None:
    return None


class Sender:
    """The only one who sends for a key. Several `send` may run at once.

    Nonces come from the mined count, never from what is pending: after a restart the first
    transaction takes the place of whatever was left behind, so that only one of them counts.
    """

    def __init__(
        self,
        connection: Connection,
        account: LocalAccount,
        policy: SendPolicy = SendPolicy(),
        on_intent: OnIntent = _forget,
    ) -> None:
        self._connection = connection
        self._account = account
        self._policy = policy
        self._on_intent = on_intent
        self._lock = asyncio.Lock()
        self._slots = asyncio.Semaphore(policy.max_in_flight)
        self._in_flight: set[int] = set()
        self._last_fees: dict[int, Fees] = {}

    @property
    def address(self) -> Address:
        """Who sends."""
        return Address(self._account.address)

    async def send(self, call: ContractCall, gas: int | None = None) -> Receipt:
        """Simulate, sign, broadcast, replace when stuck; returns once it is in a block.

        `gas` is the limit to send with; without it the node's estimate plus a margin.

        Raises:
            Rejected: the simulation says no, and nothing was sent.
            Reverted: it was mined and refused all the same.
            ExhaustedResource: no funds, or it does not get through below the price cap.
            Unavailable: the node does not answer; the transaction may still be mined.
        """
        raise NotImplementedError
