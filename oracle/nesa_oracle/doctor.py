"""Looks at everything that an oracle needs, and says in words what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from eth_account.signers.local import LocalAccount

from nesa.chain.connection import Connection
from nesa.chain.contracts import ORACLE_SEATS, Contracts
from nesa.chain.deployment import Deployment
from nesa.protocol.errors import InvalidConfiguration, NesaError, Rejected
from nesa.protocol.ids import Address
from nesa_oracle.config import OracleSettings

CLOCK_SKEW_SECONDS: Final = 60
LOW_BALANCE: Final = 10**16
"""Wei; about ten reports at ten gwei."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    is_good: bool
    text: str


async def examine(settings: OracleSettings, account: LocalAccount | None) -> list[Finding]:
    """Every finding, in the order in which things build on each other."""
    findings = [_key(account)]
    try:
        deployment = Deployment.read(settings.deployment)
        findings.append(Finding("deployment", True, f"chain {deployment.chain_id}"))
        connection = await Connection.open(settings.rpc_url, deployment)
    except NesaError as error:
        return [*findings, Finding("node", False, str(error))]
    async with connection:
        findings.append(Finding("node", True, f"{connection.url} has the contracts"))
        findings.append(await _found("clock", lambda: _clock(connection)))
        if account is not None:
            signer = Address(account.address)
            findings.append(await _found("gas", lambda: _gas(connection, signer)))
            findings.append(await _found("seat", lambda: _seat(connection, signer)))
    return findings


def _key(account: LocalAccount | None) -> Finding:
    if account is None:
        return Finding("key", False, "no signer: the oracle can only run with --dry")
    return Finding("key", True, f"signs as {account.address}")


async def _found(name: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, True, await look())
    except NesaError as error:
        return Finding(name, False, str(error))


async def _clock(connection: Connection) -> str:
    head = await connection.head()
    apart = int(time.time()) - head.timestamp
    if abs(apart) > CLOCK_SKEW_SECONDS:
        raise InvalidConfiguration(
            f"block {head.number} is {apart} s away from this machine's clock; the node lags or "
            "the clock is wrong"
        )
    return f"block {head.number}, {apart} s ago"


async def _gas(connection: Connection, signer: Address) -> str:
    balance = await connection.balance(signer)
    if balance < LOW_BALANCE:
        raise InvalidConfiguration(
            f"{signer} has {balance} wei; send it native coin to pay for gas"
        )
    return f"{balance / 10**18:.4f} in native coin"


async def _seat(connection: Connection, signer: Address) -> str:
    vault = Contracts(connection).vault
    operator = await vault.operator_of(signer, "latest")
    if operator is None:
        raise InvalidConfiguration(f"{signer} belongs to no operator; run `nesa-oracle register`")
    try:
        shard, slot = await vault.seat_of(ORACLE_SEATS[0], operator, "latest")
    except Rejected as error:
        raise InvalidConfiguration(
            f"operator {operator} has no oracle seat; run `nesa-oracle register`"
        ) from error
    (seat,) = await vault.seats(ORACLE_SEATS[0], shard, [slot], "latest")
    if seat.signer != signer:
        raise InvalidConfiguration(f"the seat in slot {slot} is signed for by {seat.signer}")
    if not seat.is_active(await vault.epoch("latest")):
        return f"slot {slot}, active from epoch {seat.from_epoch}"
    return f"slot {slot} of operator {operator}"
