"""Delegates NES to operators by shares, shows what came of it, and brings it back."""

from __future__ import annotations

from dataclasses import dataclass

from nesa.chain.connection import Connection
from nesa.chain.contracts import ZERO_ADDRESS, Contracts
from nesa.chain.economy import DelegationPool, Exit
from nesa.chain.history import operators_delegated_to, operators_for_delegation
from nesa.client.payment import Send, in_nes
from nesa.protocol.delegation import (
    MAX_COMMISSION_BPS,
    least_shares,
    shares_bought,
    shares_for,
)
from nesa.protocol.errors import ExhaustedResource, InvalidInput
from nesa.protocol.ids import Address, Amount, Timestamp
from nesa.protocol.slashing import delegable


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """What an operator offers to delegators: basis points that it keeps of their rewards, now and
    from `changes_at` on, its own stake, which is slashed first, what is delegated, and how much
    more may be, in NES units."""

    operator: Address
    endpoint: str
    commission_bps: int
    next_commission_bps: int
    changes_at: Timestamp
    own_stake: Amount
    delegated: Amount
    delegable: Amount


@dataclass(frozen=True, slots=True)
class Delegation:
    """What an account has in an operator's pool: shares that stay and their worth in NES units now,
    and what leaves. `leaving_worth` is below `leaving.amount` after a slash, and is what is paid
    from `leaving.ready_at` on."""

    operator: Address
    delegator: Address
    shares: int
    worth: Amount
    leaving: Exit
    leaving_worth: Amount

    @property
    def is_empty(self) -> bool:
        """Whether everything was paid."""
        return not (self.shares or self.leaving.shares)


@dataclass(frozen=True, slots=True)
class Delegations:
    """Delegations of one account, which `send` sends for."""

    connection: Connection
    account: Address
    send: Send

    async def operators(self) -> tuple[PoolTerms, ...]:
        """Every operator that takes delegations, with its terms."""
        announced = await operators_for_delegation(self.connection)
        return tuple([await self.terms(operator) for operator in announced])

    async def terms(self, operator: Address) -> PoolTerms:
        """What an operator offers.

        Raises:
            InvalidInput: it is no operator, or takes no delegations.
        """
        record = await self._contracts.vault.operator(operator, at="latest")
        commission = await self._pool.commission(operator, at="latest")
        if record.signer == ZERO_ADDRESS:
            raise InvalidInput(f"{operator} is no operator; `nesa delegation operators` lists them")
        if not commission.is_set:
            raise InvalidInput(
                f"{operator} takes no delegations; `nesa delegation operators` lists who does"
            )
        now = (await self.connection.head()).timestamp
        ledger = await self._contracts.vault.ledger(operator, at="latest")
        delegated = (await self._contracts.vault.backing(operator, at="latest")).delegated
        return PoolTerms(
            operator=operator,
            endpoint=record.endpoint,
            commission_bps=commission.at(now),
            next_commission_bps=commission.next_bps,
            changes_at=commission.changes_at,
            own_stake=Amount(ledger.stake - delegated),
            delegated=delegated,
            delegable=delegable(ledger.stake, delegated, ledger.unbonding),
        )

    async def all(self) -> tuple[Delegation, ...]:
        """Everything that the account has in pools, by operator."""
        operators = await operators_delegated_to(self.connection, self.account)
        found = [await self.of(operator) for operator in operators]
        return tuple(one for one in found if not one.is_empty)

    async def of(self, operator: Address) -> Delegation:
        """What the account has in one operator's pool."""
        pool, mine = self._pool, (operator, self.account)
        shares = await pool.shares_of(*mine, at="latest")
        leaving = await pool.exit_of(*mine, at="latest")
        worth = await pool.value_of(operator, shares, at="latest")
        left = await pool.value_of(operator, leaving.shares, at="latest")
        return Delegation(*mine, shares, worth, leaving, Amount(min(left, leaving.amount)))

    async def add(self, operator: Address, amount: Amount) -> Delegation:
        """Delegate NES units to an operator, at about the price of the moment.

        Raises:
            InvalidInput: nothing to delegate, or the operator takes none, or not so much.
            ExhaustedResource: the account holds fewer.
            Rejected: the price of a share moved meanwhile, or a slash ruined the pool.
        """
        if amount <= 0:
            raise InvalidInput("a delegation is more than 0 NES; name a sum")
        terms = await self.terms(operator)
        await self._check_balance(amount)
        if amount > terms.delegable:
            raise InvalidInput(
                f"{operator} owns {in_nes(terms.own_stake)} and may take "
                f"{in_nes(terms.delegable)} more; delegate less, or choose another one of "
                "`nesa delegation operators`"
            )
        total = await self._pool.total_shares(operator, at="latest")
        least = least_shares(shares_bought(amount, total, terms.delegated))
        await self._allow(amount)
        await self.send(self._pool.delegate(operator, amount, least))
        return await self.of(operator)

    async def leave(self, operator: Address, amount: Amount | None = None) -> Delegation:
        """Begin to withdraw `amount` NES units of an operator's pool, or everything.

        What leaves already starts its time again.

        Raises:
            InvalidInput: the account has less there, or nothing.
        """
        mine = await self.of(operator)
        if not mine.worth:
            raise InvalidInput(f"{self.account} has nothing with {operator} that could leave")
        shares = mine.shares if amount is None else await self._shares_worth(mine, amount)
        await self.send(self._pool.begin_exit(operator, shares))
        return await self.of(operator)

    async def stay(self, operator: Address) -> Delegation:
        """Make what leaves an operator's pool stay.

        Raises:
            Rejected: nothing leaves.
        """
        await self.send(self._pool.cancel_exit(operator))
        return await self.of(operator)

    async def withdraw(self, operator: Address) -> Amount:
        """Have the account paid what left an operator's pool; returns how many NES units.

        Raises:
            InvalidInput: nothing leaves.
            Rejected: it is too early, a dispute holds the operator, or seats need the stake.
        """
        mine = await self.of(operator)
        if not mine.leaving.shares:
            raise InvalidInput(
                f"nothing of {self.account} leaves {operator}; begin with "
                f"`nesa delegation leave {operator}`"
            )
        token = self._contracts.token
        before = await token.balance_of(self.account, at="latest")
        await self.send(self._pool.withdraw(operator, self.account))
        return Amount(await token.balance_of(self.account, at="latest") - before)

    async def open(self, commission_bps: int) -> PoolTerms:
        """Take delegations as an operator, or change what it keeps of their rewards.

        Raises:
            InvalidInput: the account is no operator, or more than half.
        """
        if not 0 <= commission_bps <= MAX_COMMISSION_BPS:
            most = MAX_COMMISSION_BPS / 100
            raise InvalidInput(f"a commission is 0 to {most:g} % of the delegators' rewards")
        record = await self._contracts.vault.operator(self.account, at="latest")
        if record.signer == ZERO_ADDRESS:
            raise InvalidInput(
                f"{self.account} is no operator; give the owner's key of a registered one with "
                "--keystore"
            )
        await self.send(self._pool.announce_commission(commission_bps))
        return await self.terms(self.account)

    async def _shares_worth(self, mine: Delegation, amount: Amount) -> int:
        if not 0 < amount <= mine.worth:
            raise InvalidInput(
                f"{self.account} has {in_nes(mine.worth)} with {mine.operator}; "
                "name a sum above 0 and up to that"
            )
        total = await self._pool.total_shares(mine.operator, at="latest")
        backing = await self._contracts.vault.backing(mine.operator, at="latest")
        return min(shares_for(amount, total, backing.delegated), mine.shares)

    async def _check_balance(self, amount: Amount) -> None:
        held = await self._contracts.token.balance_of(self.account, at="latest")
        if held < amount:
            raise ExhaustedResource(
                f"{self.account} holds {in_nes(held)}, less than {in_nes(amount)}; delegate less"
            )

    async def _allow(self, amount: Amount) -> None:
        """Let the pool take the sum; a larger allowance of before is left as it is."""
        token = self._contracts.token
        if await token.allowance(self.account, self._pool.address, at="latest") < amount:
            await self.send(token.approve(self._pool.address, amount))

    @property
    def _contracts(self) -> Contracts:
        return Contracts(self.connection)

    @property
    def _pool(self) -> DelegationPool:
        return DelegationPool.of(self.connection)
