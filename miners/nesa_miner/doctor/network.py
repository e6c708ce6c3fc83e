"""What the doctor asks of the chain: the right node, and this operator on it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from nesa.chain.connection import Block, Connection, RpcPolicy, quantity
from nesa.chain.contracts import Contracts, Ledger, Operator
from nesa.chain.deployment import Deployment
from nesa.chain.leaving import HeldSeat
from nesa.chain.owner import nes
from nesa.models.proving.reference_string import LOCAL_CHAIN_IDS
from nesa.privacy.keys import public_bytes
from nesa.protocol.errors import InvalidConfiguration, NesaError
from nesa.protocol.ids import PROTOCOL_VERSION
from nesa_miner.config import CONFIG_FILE, MinerSettings
from nesa_miner.disputes.courtroom import DEFENCE_GAS
from nesa_miner.doctor.checks import Check, Patient, Verdict, failed, guarded
from nesa_miner.identity import Identity
from nesa_miner.seats import held_seats

MAX_AHEAD_SECONDS: Final = 5
"""How far the newest block may be ahead of this machine's clock."""

MAX_AGE_SECONDS: Final = 120
"""How old the newest block of a public chain may be."""

PATIENCE: Final = RpcPolicy(timeout=5.0, retries=1)


async def check_node(patient: Patient) -> tuple[Connection | None, Check]:
    """The node of the settings answers."""
    try:
        deployment = Deployment.read(patient.folder / patient.settings.deployment)
        connection = Connection(patient.settings.rpc_url, deployment, PATIENCE)
    except InvalidConfiguration as error:
        return None, failed("node", f"{error}; mend {CONFIG_FILE}")
    try:
        head = await connection.head()
    except NesaError as error:
        await connection.close()
        advice = f"start the node or change rpc_url in {CONFIG_FILE}"
        return None, failed("node", f"{error}; {advice}")
    return connection, Check("node", Verdict.OK, f"{connection.url} at block {head.number}")


@dataclass(frozen=True, slots=True)
class Contacts:
    """What the chain says: the right chain, the right contracts, and this operator on it."""

    connection: Connection
    contracts: Contracts
    settings: MinerSettings
    identity: Identity | None

    NAMES = (
        "chain id", "protocol", "contracts", "clock", "inputs", "operator", "stake", "seats",
        "coins",
    )  # fmt: skip

    async def checks(self) -> AsyncIterator[Check]:
        """All of them in order; the chain must be the right one for those behind it."""
        first = [
            await guarded("chain id", self.check_chain_id),
            self.check_protocol(),
            await guarded("contracts", self.check_contracts),
        ]
        for check in first:
            yield check
        yield await guarded("clock", self.check_clock)
        yield self.check_inputs()
        if any(check.is_failure for check in first):
            for name in self.NAMES[5:]:
                yield Check(name, Verdict.SKIPPED, "needs the right chain and contracts")
            return
        yield await guarded("operator", self.check_operator)
        yield await guarded("stake", self.check_stake)
        yield await guarded("seats", self.check_seats)
        yield await guarded("coins", self.check_coins)

    async def check_chain_id(self) -> Check:
        """The node is on the deployment's chain."""
        found = quantity(await self.connection.request("eth_chainId"))
        expected = self.connection.deployment.chain_id
        if found == expected:
            return Check("chain id", Verdict.OK, str(found))
        text = f"the node is on chain {found}, the deployment on chain {expected}"
        return failed("chain id", f"{text}; change rpc_url or deployment in {CONFIG_FILE}")

    def check_protocol(self) -> Check:
        """The deployment speaks this program's protocol."""
        found = self.connection.deployment.protocol_version
        if found == PROTOCOL_VERSION:
            return Check("protocol", Verdict.OK, f"version {found}")
        text = f"the deployment speaks version {found}, this program {PROTOCOL_VERSION}"
        return failed("protocol", f"{text}; install the release that matches")

    async def check_contracts(self) -> Check:
        """Every contract is there."""
        deployment = self.connection.deployment
        for name, address in deployment.contracts().items():
            if not await self.connection.code(address):
                text = f"there is no {name} contract at {address}"
                return failed("contracts", f"{text}; use the deployment file of this chain")
        return Check("contracts", Verdict.OK, f"all {len(deployment.contracts())} are there")

    def check_inputs(self) -> Check:
        """Clients cannot have this miner ask servers in its own network."""
        if not self.settings.allow_private_contents:
            return Check("inputs", Verdict.OK, "read from public addresses only")
        text = "clients may have this miner read from private addresses"
        if self.connection.deployment.chain_id in LOCAL_CHAIN_IDS:
            return Check("inputs", Verdict.OK, f"{text}, on a chain of this machine")
        advice = f"take allow_private_contents out of {CONFIG_FILE}"
        return Check("inputs", Verdict.WARNING, f"{text}; {advice}, unless no stranger asks here")

    async def check_clock(self) -> Check:
        """This machine's clock and the chain's agree."""
        head: Block = await self.connection.head()
        age = time.time() - head.timestamp
        if age < -MAX_AHEAD_SECONDS:
            text = f"the newest block is {-age:.0f} s ahead of this machine's clock"
            return failed("clock", f"{text}; set the clock, for example with NTP")
        if age <= MAX_AGE_SECONDS:
            return Check("clock", Verdict.OK, f"the newest block is {max(age, 0):.0f} s old")
        text = f"the newest block is {age:.0f} s old; use a node that keeps up, or set the clock"
        local = self.connection.deployment.chain_id in LOCAL_CHAIN_IDS
        return Check("clock", Verdict.WARNING if local else Verdict.FAILED, text)

    async def check_operator(self) -> Check:
        """The vault knows this miner's keys and endpoint."""
        identity, operator = self.identity, await self._operator()
        if identity is None:
            return Check("operator", Verdict.SKIPPED, "needs the keys")
        if operator is None:
            text = f"the vault does not know the signer {identity.address}"
            return failed("operator", f"{text}; run `nesa-miner register`")
        if problem := await self._problem_of_key(identity, operator):
            return failed("operator", problem)
        if operator.endpoint != self.settings.endpoint:
            text = f"the vault has the endpoint {operator.endpoint}, {CONFIG_FILE} has"
            text = f"{text} {self.settings.endpoint}; run `nesa-miner register`"
            return failed("operator", text)
        return Check("operator", Verdict.OK, operator.address)

    async def _problem_of_key(self, identity: Identity, operator: Operator) -> str | None:
        """Why this miner would not open what is sealed to its operator; None where it would."""
        kept = [public_bytes(key) for key in identity.keys]
        if operator.next_encryption_key in kept[1:]:
            return (
                "a rotation of the encryption key was broken off, or only prepared; finish it with "
                "`nesa-miner rotate-encryption-key`"
            )
        if operator.next_encryption_key in kept:
            epoch = await self.contracts.vault.epoch(at="latest")
            if operator.encryption_key_at(epoch) in kept:
                return None
            return (
                f"until epoch {operator.key_epoch} queries are sealed to a key that is not here; "
                "copy it from a backup, beside the other as `nesa-miner rotate-encryption-key` does"
            )
        return (
            "the vault has another encryption key; where another miner of this owner rotated it, "
            "copy keys/encryption*.json from there, else run `nesa-miner register`"
        )

    async def check_stake(self) -> Check:
        """The stake covers the seats."""
        operator = await self._operator()
        if operator is None:
            text = f"needs a registered operator; a seat locks {await self._seat_stake()}"
            return Check("stake", Verdict.SKIPPED, text)
        ledger: Ledger = await self.contracts.vault.ledger(operator.address, at="latest")
        text = f"{nes(ledger.stake)}, {nes(ledger.locked)} of it locked by seats"
        if not ledger.stake:
            text = f"no stake; a seat locks {await self._seat_stake()}"
            return failed("stake", f"{text}; run `nesa-miner register`")
        if ledger.stake < ledger.locked:
            missing = nes(ledger.locked - ledger.stake)
            return failed("stake", f"{text}; deposit {missing} or anybody can end the seats")
        return Check("stake", Verdict.OK, text)

    async def check_seats(self) -> Check:
        """There is a seat that queries can draw."""
        if await self._operator() is None:
            return Check("seats", Verdict.SKIPPED, "needs a registered operator")
        seats = await self.seats()
        if not seats:
            return failed("seats", "no seat; run `nesa-miner register`")
        epoch = await self.contracts.vault.epoch(at="latest")
        active = sum(seat.record.is_active(epoch) for seat in seats)
        text = f"{active} of {len(seats)} active in epoch {epoch}"
        if active:
            return Check("seats", Verdict.OK, text)
        first = min(seat.record.from_epoch for seat in seats)
        if first > epoch:
            return Check("seats", Verdict.WARNING, f"{text}; wait for epoch {first}")
        return failed("seats", f"{text}; run `nesa-miner register` when they are released")

    async def check_coins(self) -> Check:
        """Owner and signer can pay for gas. The signer sends nothing while all goes well, but
        whoever cannot pay for its defence loses stake for honest work."""
        operator = await self._operator()
        if operator is None or self.identity is None:
            return Check("coins", Verdict.SKIPPED, "needs a registered operator")
        owner = await self.connection.balance(operator.address)
        signer = await self.connection.balance(self.identity.address)
        text = f"owner {_coins(owner)}, signer {_coins(signer)}"
        wanted = DEFENCE_GAS * (await self.connection.head()).base_fee
        if owner and signer > wanted:
            return Check("coins", Verdict.OK, text)
        if owner and signer:
            need = f"a defence against a challenge may cost {_coins(wanted)}"
            text = f"{text}; {need}, send {self.identity.address} some coin"
            return Check("coins", Verdict.WARNING, text)
        empty = operator.address if not owner else self.identity.address
        return Check("coins", Verdict.WARNING, f"{text}; send {empty} some coin for gas")

    async def seats(self) -> tuple[HeldSeat, ...]:
        """The operator's seats; none when they cannot be read."""
        try:
            operator = await self._operator()
            if operator is None:
                return ()
            return await held_seats(self.connection, operator.address)
        except NesaError:
            return ()

    async def _seat_stake(self) -> str:
        limits = await self.contracts.parameters.request_limits(at="latest")
        return nes(limits.seat_stake)

    async def _operator(self) -> Operator | None:
        if self.identity is None:
            return None
        vault = self.contracts.vault
        found = await vault.operator_of(self.identity.address, at="latest")
        if found is None:
            return None
        return await vault.operator(found, at="latest")


def _coins(wei: int) -> str:
    return f"{wei / 10**18:.4f}"
