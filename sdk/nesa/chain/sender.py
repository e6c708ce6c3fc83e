"""Sends transactions of one key so that each takes effect once, also when the network is slow."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, Self

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address

from nesa.chain.abi import ContractCall
from nesa.chain.connection import At, Block, Connection, RpcRefused, data_bytes, quantity
from nesa.chain.events import RawLog, raw_log
from nesa.protocol.errors import ExhaustedResource, NesaError, Rejected, Unavailable, Unmined
from nesa.protocol.ids import Address, BlockNumber, Digest

BUMP_NUMERATOR: Final = 1_125
BUMP_DENOMINATOR: Final = 1_000
"""Nodes replace a transaction only when both fees rise by a tenth; 12.5 % leaves room."""

_GWEI: Final = 10**9
_SEARCH_AFTER_MISSES: Final = 10
"""Looks without a receipt between two searches for the transaction that used the nonce."""

_LAG_BLOCKS: Final = 64
"""How far behind the others a node may be that is asked behind the same URL."""

_REPEAT_SECONDS: Final = 5.0
"""How long a node is trusted to remember a transaction that it mines late."""

_NONCE_USED: Final = re.compile(r"nonce (is )?too low|nonce has already been used", re.IGNORECASE)
_KNOWN: Final = re.compile(r"already known|already imported|known transaction", re.IGNORECASE)
_UNDERPRICED: Final = re.compile(r"underpriced|fee too low|replacement", re.IGNORECASE)
_FUNDS: Final = re.compile(r"insufficient funds", re.IGNORECASE)


class _Answer(Enum):
    ACCEPTED = auto()
    NONCE_USED = auto()
    UNDERPRICED = auto()


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

    @classmethod
    def up_to(cls, gwei: float, patience: float = 30.0) -> Self:
        """To pay at most so many gwei a gas, and to wait `patience` seconds before paying more."""
        return cls(max_fee_per_gas=int(gwei * _GWEI), patience=patience)


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


async def forget(_: Intent) -> None:
    """Keeps no intent."""


@dataclass(slots=True)
class _Flight:
    """A call on its way under one nonce, with every transaction that was signed for it.

    `fees` are the opening bid until a node took a dearer one; what uses the nonce does so after
    block `since`.
    """

    call: ContractCall
    nonce: int
    gas: int
    fees: Fees
    since: BlockNumber
    raw: bytes = b""
    sent_at: float = 0.0
    repeated_at: float = 0.0
    hashes: list[Digest] = field(default_factory=list)
    misses: int = 0


class Sender:
    """The only one who sends for a key. Several `send` may run at once.

    Nonces come from the mined count, never from what is pending: after a restart the first
    transaction takes the place of whatever was left behind, so that only one of them counts. A
    call is sent under another nonce only when a block shows somebody else's transaction under the
    first one: that a node does not find the receipt says nothing, for it may be behind.
    """

    def __init__(
        self,
        connection: Connection,
        account: LocalAccount,
        policy: SendPolicy = SendPolicy(),
        on_intent: OnIntent = forget,
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

    async def send(
        self, call: ContractCall, gas: int | None = None, at: At = "latest", *, again: bool = True
    ) -> Receipt:
        """Simulate, sign, broadcast, replace when stuck; returns once it is in a block.

        `gas` is the limit to send with; without it the node's estimate plus a margin. `at` is the
        block of the simulation: "pending" for a call that only the next block can take. A call that
        the chain would take twice is not sent `again` when another transaction has its nonce: that
        may be the same call, sent before a restart.

        Raises:
            Rejected: the simulation says no, and nothing was sent.
            Reverted: it was mined and refused all the same.
            ExhaustedResource: no funds, or it does not get through below the price cap.
            Unmined: it was sent, and may still be mined.
            Unavailable: the node does not answer, and nothing was sent.
        """
        limit = time.monotonic() + self._policy.give_up
        async with self._slots:
            while time.monotonic() < limit:
                receipt = await self._attempt(call, gas, at, limit)
                if receipt is not None:
                    return await self._judged(call, receipt)
                if not again:
                    raise Unavailable(f"another transaction took the nonce of {call.label}")
                await asyncio.sleep(self._policy.poll)
        raise Unavailable(f"{call.label} was not mined within {self._policy.give_up:g} s")

    async def _attempt(
        self, call: ContractCall, gas: int | None, at: At, limit: float
    ) -> Receipt | None:
        """The receipt, or None when somebody else used up the nonce."""
        async with self._lock:
            flight = await self._prepared(call, gas, at)
            self._in_flight.add(flight.nonce)
            try:
                await self._sign_and_broadcast(flight, flight.fees)
            except BaseException:
                self._in_flight.discard(flight.nonce)
                raise
        try:
            return await self._landed(flight, limit)
        finally:
            self._in_flight.discard(flight.nonce)

    async def _prepared(self, call: ContractCall, gas: int | None, at: At) -> _Flight:
        await self._connection.call(call, at, self.address, gas)
        limit = await self._estimated(call, at) if gas is None else gas
        nonce = await self._connection.mined_nonce(self.address)
        self._last_fees = {key: fees for key, fees in self._last_fees.items() if key >= nonce}
        while nonce in self._in_flight:
            nonce += 1
        head = await self._connection.head()
        since = BlockNumber(max(head.number - _LAG_BLOCKS, 0))
        return _Flight(call, nonce, limit, await self._opening_fees(nonce, head), since)

    async def _estimated(self, call: ContractCall, at: At) -> int:
        found = await self._connection.estimated_gas(call, at, self.address)
        return found * (100 + self._policy.gas_margin_percent) // 100

    async def gas_price(self) -> int:
        """What one gas costs in the next block, in wei: base fee and tip.

        Raises:
            ExhaustedResource: more than the cap.
        """
        head = await self._connection.head()
        return head.base_fee + (await self._market_fees(head)).tip

    async def _opening_fees(self, nonce: int, head: Block) -> Fees:
        market = await self._market_fees(head)
        left_behind = self._last_fees.get(nonce)
        if left_behind is None:
            return market
        return self._replacing(left_behind, market)

    async def _market_fees(self, head: Block) -> Fees:
        base, tip = head.base_fee, await self._market_tip()
        cap = self._policy.max_fee_per_gas
        if base + tip > cap:
            raise ExhaustedResource(
                f"gas costs {base + tip} wei now, more than the cap of {cap} wei; "
                "wait or raise the cap"
            )
        return Fees(min(2 * base + tip, cap), tip)

    async def _market_tip(self) -> int:
        try:
            found = quantity(await self._connection.request("eth_maxPriorityFeePerGas"))
        except RpcRefused:
            return self._policy.min_tip
        return max(found, self._policy.min_tip)

    def _replacing(self, old: Fees, market: Fees) -> Fees:
        cap = self._policy.max_fee_per_gas
        bumped = old.bumped(cap)
        if bumped is None:
            raise ExhaustedResource(
                f"a transaction of {self.address} is stuck at {old.max_fee} wei a gas and the cap "
                f"of {cap} wei leaves no room to replace it; raise the cap or wait"
            )
        return bumped.at_least(market)

    async def _sign_and_broadcast(self, flight: _Flight, bid: Fees) -> None:
        """Bid for the flight's nonce, higher while a node finds it too low to replace another."""
        while True:
            raw = flight.raw = self._signed(flight, bid)
            flight.sent_at = flight.repeated_at = time.monotonic()
            await self._on_intent(Intent(flight.call, flight.nonce, flight.hashes[-1], raw, bid))
            match await self._broadcast(raw):
                case _Answer.ACCEPTED:
                    flight.fees = self._last_fees[flight.nonce] = bid
                    return
                case _Answer.NONCE_USED:
                    return
                case _Answer.UNDERPRICED:
                    bid = self._replacing(bid, bid)

    def _signed(self, flight: _Flight, bid: Fees) -> bytes:
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self._connection.deployment.chain_id,
                "nonce": flight.nonce,
                "to": to_canonical_address(flight.call.to),
                "data": flight.call.data,
                "value": flight.call.value,
                "gas": flight.gas,
                "maxFeePerGas": bid.max_fee,
                "maxPriorityFeePerGas": bid.tip,
            }
        )
        flight.hashes.append(Digest(bytes(signed.hash)))
        return bytes(signed.raw_transaction)

    async def _broadcast(self, raw: bytes) -> _Answer:
        """What became of it. Silence counts as accepted: the node may have it, and `_landed`
        sends a replacement when it has not."""
        try:
            await self._connection.submit("eth_sendRawTransaction", f"0x{raw.hex()}")
        except RpcRefused as error:
            return _understood(error)
        except Unavailable:
            return _Answer.ACCEPTED
        return _Answer.ACCEPTED

    async def _landed(self, flight: _Flight, limit: float) -> Receipt | None:
        """The receipt, or None when somebody else's transaction has the nonce."""
        while time.monotonic() < limit:
            try:
                if await self._connection.mined_nonce(self.address) <= flight.nonce:
                    await self._urge(flight)
                else:
                    receipt = await self._receipt(flight)
                    if receipt is not None or await self._is_taken(flight):
                        return receipt
            except Unavailable:
                pass  # the node is away or busy; what was sent stays sent
            await asyncio.sleep(self._policy.poll)
        raise Unmined(
            f"{flight.call.label} was sent as 0x{flight.hashes[-1].hex()} and not mined within "
            f"{self._policy.give_up:g} s",
            flight.hashes,
        )

    async def _receipt(self, flight: _Flight) -> Receipt | None:
        for tx_hash in reversed(flight.hashes):
            receipt = await find_receipt(self._connection, tx_hash)
            if receipt is not None:
                return receipt
        flight.misses += 1
        return None

    async def _is_taken(self, flight: _Flight) -> bool:
        """Whether a block shows another transaction under the flight's nonce."""
        if flight.misses % _SEARCH_AFTER_MISSES:
            return False
        mined = await find_mined(self._connection, self.address, flight.nonce, flight.since)
        return mined is not None and mined not in flight.hashes

    async def _urge(self, flight: _Flight) -> None:
        """Bid more where a transaction is stuck; before that, show it again to a node that may have
        forgotten it, such as one that was restarted, or whose block with it was left."""
        now = time.monotonic()
        if now - flight.sent_at > self._policy.patience:
            market = await self._market_fees(await self._connection.head())
            await self._sign_and_broadcast(flight, self._replacing(flight.fees, market))
        elif now - flight.repeated_at > _REPEAT_SECONDS:
            flight.repeated_at = now
            with contextlib.suppress(NesaError):
                await self._broadcast(flight.raw)

    async def _judged(self, call: ContractCall, receipt: Receipt) -> Receipt:
        if receipt.succeeded:
            return receipt
        try:
            await self._connection.call(call, receipt.block_number, self.address)
        except Rejected as error:
            raise Reverted(error.reason, receipt) from error
        raise Reverted("reverted without a reason that can be found again", receipt)


async def find_receipt(connection: Connection, tx_hash: Digest) -> Receipt | None:
    """The receipt of a transaction, None while it is in no block."""
    found = await connection.request("eth_getTransactionReceipt", f"0x{tx_hash.hex()}")
    if found is None:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("logs"), list):
        raise Unavailable("the node answered garbage where a receipt was expected")
    return Receipt(
        tx_hash=tx_hash,
        block_number=BlockNumber(quantity(found.get("blockNumber"))),
        block_hash=Digest(data_bytes(found.get("blockHash"))),
        succeeded=quantity(found.get("status")) == 1,
        gas_used=quantity(found.get("gasUsed")),
        gas_price=quantity(found.get("effectiveGasPrice", "0x0")),
        logs=tuple(raw_log(log) for log in found["logs"]),
    )


async def find_mined(
    connection: Connection, sender: Address, nonce: int, since: BlockNumber
) -> Digest | None:
    """Hash of the transaction that used `nonce` in a block after `since`.

    None when it is not found: no block has it, or the nodes behind the URL contradict each other.
    """
    low, high = since, (await connection.head()).number
    while high - low > 1:
        middle = BlockNumber((low + high) // 2)
        if await connection.mined_nonce(sender, middle) > nonce:
            high = middle
        else:
            low = middle
    block = await connection.request("eth_getBlockByNumber", hex(high), True)
    for transaction in _transactions(block):
        is_theirs = str(transaction.get("from")).lower() == sender.lower()
        if is_theirs and quantity(transaction.get("nonce")) == nonce:
            return Digest(data_bytes(transaction.get("hash")))
    return None


def _transactions(block: Any) -> list[dict[str, Any]]:
    found = block.get("transactions") if isinstance(block, dict) else []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unavailable("the node answered garbage where transactions were expected")
    return found


def _understood(error: RpcRefused) -> _Answer:
    """What a refused broadcast means.

    Raises:
        ExhaustedResource: the account cannot pay.
        RpcRefused: the transaction can never be mined.
    """
    if _NONCE_USED.search(error.message):
        return _Answer.NONCE_USED
    if _KNOWN.search(error.message):
        return _Answer.ACCEPTED
    if _UNDERPRICED.search(error.message):
        return _Answer.UNDERPRICED
    if _FUNDS.search(error.message):
        raise ExhaustedResource(f"the account cannot pay for gas: {error.message}") from error
    if error.is_transient:
        return _Answer.ACCEPTED
    raise error


def _raised(fee: int) -> int:
    return -(-fee * BUMP_NUMERATOR // BUMP_DENOMINATOR)
