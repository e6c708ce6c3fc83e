"""Takes what a watchtower earned out of the court and the vault, and on to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.address import is_address, to_checksum_address

from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.chain.owner import nes, read_nes
from nesa.chain.sender import Sender
from nesa.protocol.errors import InvalidConfiguration, InvalidInput
from nesa.protocol.ids import Address, Amount
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.watchtower.config import WatchSettings
from nesa_miner.watchtower.journal import WatchJournal, journal_identity
from nesa_miner.watchtower.status import look_into


@dataclass(frozen=True, slots=True)
class Payment:
    """NES units for `receiver`; no `amount` means all there is."""

    receiver: Address
    amount: Amount | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """NES units that were collected and sent, and that the account has now."""

    collected: Amount
    sent: Amount
    nes: Amount


def read_payment(receiver: str | None, amount: str | None) -> Payment | None:
    """Whom to pay how much, as people write it.

    Raises:
        InvalidInput: no address, no sum, or a sum for nobody.
    """
    if receiver is None:
        if amount is not None:
            raise InvalidInput("name who gets the NES with --to; without it they are collected")
        return None
    if not is_address(receiver):
        raise InvalidInput(f"{receiver!r} is no address; it has 0x and 40 hexadecimal digits")
    return Payment(
        Address(to_checksum_address(receiver)), None if amount is None else read_nes(amount)
    )


async def withdraw(
    folder: Path, settings: WatchSettings, account: LocalAccount, payment: Payment | None
) -> Paid:
    """Collect, then pay; can be repeated.

    Raises:
        InvalidConfiguration: the watchtower runs, or has no coin.
        InvalidInput: the account has less.
        Incompatible: another chain, or one without a court.
        Unavailable: the node does not answer.
    """
    deployment = Deployment.read(folder / settings.deployment)
    name = journal_identity(deployment, Address(account.address))
    # One process sends for a key; whoever has the journal does.
    with closing(WatchJournal(folder / settings.journal, name)):
        async with await Connection.open(settings.rpc_url, deployment) as connection:
            room = Courtroom.open(connection, Sender(connection, account))
            return await _paid(room, payment)


async def _paid(room: Courtroom, payment: Payment | None) -> Paid:
    me = room.sender.address
    before = await look_into(room.connection, me)
    if not before.coins:
        raise InvalidConfiguration(f"{me} cannot pay for gas; send it some of the chain's coin")
    await room.collect(me)
    collected = Amount(before.court_credit + before.vault_reward)
    held = await room.contracts.token.balance_of(me, "latest")
    if payment is None or not held:
        return Paid(collected, Amount(0), held)
    sum_ = held if payment.amount is None else payment.amount
    if sum_ > held:
        raise InvalidInput(f"{me} has {nes(held)}; name a smaller sum")
    await room.send(room.contracts.token.transfer(payment.receiver, sum_))
    return Paid(collected, sum_, Amount(held - sum_))


def in_words(paid: Paid) -> Mapping[str, Any]:
    """Sums as people write them."""
    return {name: nes(value) for name, value in asdict(paid).items()}
