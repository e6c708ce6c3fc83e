"""What a watchtower did and has: asked of the running one, else read from its journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.court import Court
from nesa.chain.deployment import Deployment
from nesa.chain.docket import bonds_of, fold
from nesa.chain.keystore import keystore_address
from nesa.chain.owner import nes
from nesa.chain.status import ask_running
from nesa.protocol.errors import Incompatible, Unavailable
from nesa.protocol.ids import Address, Amount
from nesa.protocol.parameters import BPS
from nesa_miner.watchtower.config import WatchSettings
from nesa_miner.watchtower.journal import WatchJournal, journal_identity

COIN: Final = 10**18
SUMS: Final = ("nes", "bond", "bonds_out", "court_credit", "vault_reward")


@dataclass(frozen=True, slots=True)
class Purse:
    """What an account has and is owed: `coins` in wei, the rest in NES units.

    `bond` is what one challenge needs, `court_credit` and `vault_reward` wait to be withdrawn.
    """

    coins: int
    nes: Amount
    bond: Amount
    court_credit: Amount
    vault_reward: Amount


async def read_status(folder: Path, settings: WatchSettings) -> Mapping[str, Any]:
    """The running watchtower's status, or without one what its journal holds; then its account.

    What the node cannot say now is left out, and that is said.

    Raises:
        InvalidConfiguration: no keystore, a journal that cannot be read, or one that somebody
            uses who does not answer.
    """
    try:
        said = await ask_running(settings.host, settings.port, "watchtower", "watching")
        found = {"running": True, **said}
    except Unavailable:
        found = {"running": False, **await asyncio.to_thread(_from_journal, folder, settings)}
    return {**found, **await _on_chain(folder, settings, Address(str(found["account"])))}


def _from_journal(folder: Path, settings: WatchSettings) -> Mapping[str, Any]:
    account = keystore_address(folder / settings.keystore)
    path = folder / settings.journal
    if not path.is_file():
        return {"account": account, "checked": {}, "watching": 0, "bonds_out": 0}
    deployment = Deployment.read(folder / settings.deployment)
    with closing(WatchJournal(path, journal_identity(deployment, account))) as journal:
        out = bonds_of(fold(journal.court_log.events()), account)
        return {"account": account, **journal.summary(), "bonds_out": out}


async def _on_chain(folder: Path, settings: WatchSettings, account: Address) -> Mapping[str, Any]:
    deployment = Deployment.read(folder / settings.deployment)
    try:
        async with await Connection.open(settings.rpc_url, deployment) as connection:
            purse = await look_into(connection, account)
    except (Unavailable, Incompatible) as error:
        return {"node": str(error)}
    sums = {name: getattr(purse, name) for name in Purse.__slots__}
    return {**sums, "lacks": lacks(purse)}


async def look_into(connection: Connection, account: Address) -> Purse:
    """What an account has.

    Raises:
        Incompatible: the deployment has no court.
        Unavailable: the node does not answer.
    """
    contracts, court = Contracts(connection), Court.of(connection)
    limits = await contracts.parameters.request_limits("latest")
    return Purse(
        coins=await connection.balance(account),
        nes=await contracts.token.balance_of(account, "latest"),
        bond=Amount(limits.seat_stake * limits.challenger_bond_bps // BPS),
        court_credit=await court.credit_of(account, "latest"),
        vault_reward=await contracts.vault.reward_of(account, "latest"),
    )


def lacks(purse: Purse) -> str | None:
    """What keeps a watchtower from challenging, in words; None when nothing does."""
    missing = []
    if not purse.coins:
        missing.append("coin for gas")
    if purse.nes < purse.bond:
        missing.append(f"{nes(purse.bond - purse.nes)} for one bond")
    return f"send it {' and '.join(missing)}" if missing else None


def in_words(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Sums as people write them, and nothing that is empty."""
    shown = dict(found)
    for name in SUMS:
        if name in shown:
            shown[name] = nes(shown[name])
    if "coins" in shown:
        shown["coins"] = f"{shown['coins'] / COIN:.6f}"
    return {name: value for name, value in shown.items() if value not in (None, [], {})}
