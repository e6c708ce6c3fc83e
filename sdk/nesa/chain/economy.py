"""The contracts of the economy with types: escrows of gas, delegations, new NES for work.

They stand above the market and the vault; whoever only asks or answers needs none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nesa.chain.abi import ContractCall
from nesa.chain.connection import At, Connection
from nesa.chain.contracts import BoundContract
from nesa.protocol.ids import Address, Amount, QueryId, Timestamp, VersionRoot
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Outcome, Query


@dataclass(frozen=True, slots=True)
class Exit:
    """Shares of an operator's pool that leave, and the most that they pay from `ready_at` on."""

    shares: int
    amount: Amount
    ready_at: Timestamp


@dataclass(frozen=True, slots=True)
class Commission:
    """Basis points that an operator keeps of its delegators' rewards: `bps` until `changes_at`,
    `next_bps` from then on. Nobody can delegate to it before it is set."""

    is_set: bool
    bps: int
    next_bps: int
    changes_at: Timestamp

    def at(self, now: Timestamp) -> int:
        """Basis points at a time of the chain."""
        return self.bps if now < self.changes_at else self.next_bps


class GasEscrow(BoundContract):
    """GasEscrow: native coin, in wei, for whoever reports a query's answer."""

    interface_name = "GasEscrow"

    @classmethod
    def of(cls, connection: Connection) -> GasEscrow:
        """The escrow of the connection's deployment."""
        return cls(connection, connection.deployment.gas_escrow)

    async def held_for(self, query_id: QueryId, at: At) -> int:
        """Wei that the reporter gets."""
        return int(await self._one("held_for", query_id, at=at))

    async def deposit_of(self, query_id: QueryId, depositor: Address, at: At) -> int:
        """Wei that an account deposited and did not reclaim."""
        return int(await self._one("deposit_of", query_id, depositor, at=at))

    async def credit_of(self, account: Address, at: At) -> int:
        """Wei that an account may withdraw."""
        return int(await self._one("credit_of", account, at=at))

    def deposit(self, query_id: QueryId, wei: int) -> ContractCall:
        """Add to what the reporter of an open query gets."""
        return replace(self.call("deposit", query_id), value=wei)

    def settle(self, query: Query, outcome: Outcome) -> ContractCall:
        """Credit the reporter of an answered query."""
        return self.call("settle", query.as_abi(), outcome_as_abi(outcome))

    def reclaim(self, query_id: QueryId, depositor: Address) -> ContractCall:
        """Credit a depositor of a refunded query."""
        return self.call("reclaim", query_id, depositor)

    def withdraw(self, account: Address) -> ContractCall:
        """Send an account its coin."""
        return self.call("withdraw", account)


class DelegationPool(BoundContract):
    """DelegationPool: stake that others lend to operators, by shares."""

    interface_name = "DelegationPool"

    @classmethod
    def of(cls, connection: Connection) -> DelegationPool:
        """The pool of the connection's deployment."""
        return cls(connection, connection.deployment.delegation_pool)

    async def shares_of(self, operator: Address, delegator: Address, at: At) -> int:
        """Shares of an operator's pool that stay."""
        return int(await self._one("shares_of", operator, delegator, at=at))

    async def value_of(self, operator: Address, shares: int, at: At) -> Amount:
        """What shares are worth."""
        return Amount(await self._one("value_of", operator, shares, at=at))

    async def exit_of(self, operator: Address, delegator: Address, at: At) -> Exit:
        """What leaves."""
        shares, amount, ready_at = await self._one("exit_of", operator, delegator, at=at)
        return Exit(shares, Amount(amount), Timestamp(ready_at))

    async def total_shares(self, operator: Address, at: At) -> int:
        """Shares of an operator's pool, those that leave included."""
        return int(await self._one("total_shares", operator, at=at))

    async def commission(self, operator: Address, at: At) -> Commission:
        """What an operator announced."""
        return Commission(*await self._one("commissions", operator, at=at))

    def announce_commission(self, bps: int) -> ContractCall:
        """State what the calling operator keeps."""
        return self.call("announce_commission", bps)

    def delegate(self, operator: Address, amount: Amount, min_shares: int = 0) -> ContractCall:
        """Stake for an operator; the pool pulls the NES."""
        return self.call("delegate", operator, amount, min_shares)

    def begin_exit(self, operator: Address, shares: int) -> ContractCall:
        """Begin to withdraw shares."""
        return self.call("begin_exit", operator, shares)

    def cancel_exit(self, operator: Address) -> ContractCall:
        """Stay."""
        return self.call("cancel_exit", operator)

    def withdraw(self, operator: Address, delegator: Address) -> ContractCall:
        """Pay a delegator what left."""
        return self.call("withdraw", operator, delegator)


class RewardEmitter(BoundContract):
    """RewardEmitter: new NES for work that clients paid for."""

    interface_name = "RewardEmitter"

    @classmethod
    def of(cls, connection: Connection) -> RewardEmitter:
        """The emitter of the connection's deployment."""
        return cls(connection, connection.deployment.reward_emitter)

    async def credit_of(self, account: Address, at: At) -> Amount:
        """What an account may withdraw."""
        return Amount(await self._one("credit_of", account, at=at))

    async def is_rewarded(self, query_id: QueryId, at: At) -> bool:
        """Whether a query's work was rewarded."""
        return bool(await self._one("is_rewarded", query_id, at=at))

    def reward(
        self,
        query: Query,
        outcome: Outcome,
        members: Sequence[Sequence[Address]],
        developer: Address,
        root: VersionRoot,
    ) -> ContractCall:
        """Credit everybody whom a final query paid; `members` are signers in draw order."""
        head = (query.as_abi(), outcome_as_abi(outcome), [list(shard) for shard in members])
        return self.call("reward", *head, developer, root)

    def withdraw(self, account: Address) -> ContractCall:
        """Mint an account its credit."""
        return self.call("withdraw", account)
