"""Money of accounts: balances, credits, deposits, stake that is delegated."""

from __future__ import annotations

from nesa.chain.economy import RewardEmitter
from nesa.chain.events import CreditWithdrawn, EmissionWithdrawn, WorkRewarded
from nesa.client import payment
from nesa.client.answers import AnyQuery, Balance
from nesa.client.delegating import Delegations
from nesa.client.gas_deposits import GasDeposit, GasDeposits
from nesa.client.parts.connected import Connected, event_in
from nesa.client.rewarding import reward_call
from nesa.protocol.ids import Address, Amount


class Money(Connected):
    """Moves what accounts hold and what contracts owe them."""

    async def allow(self, amount: Amount) -> None:
        """Let the market take up to `amount` NES units for queries that this account asks.

        With an allowance many queries can be asked at once; without, each is paid by a signature of
        its own, one a block. 0 takes it back.

        Raises:
            ExhaustedResource: no coins for gas.
        """
        contracts = self.contracts
        await self._send(contracts.token.approve(contracts.market.address, amount))

    async def balance(self, account: Address | None = None) -> Balance:
        """What an account holds and what the market owes it; by default this client's."""
        address = self.address if account is None else account
        credit = await self.contracts.market.credit_of(address, at="latest")
        nes = await self.contracts.token.balance_of(address, at="latest")
        coins = await self.connection.balance(address)
        return Balance(address, coins, nes, credit.ready, credit.waiting)

    async def withdraw(self, account: Address | None = None) -> Amount:
        """Have the market pay out what is ready of what it owes to an account, by default to this
        client; returns how much that was, zero without a transaction."""
        address = self.address if account is None else account
        credit = await self.contracts.market.credit_of(address, at="latest")
        if not credit.ready:
            return Amount(0)
        receipt = await self._send(self.contracts.market.withdraw(address))
        return event_in(receipt, CreditWithdrawn).amount

    async def reward(self, submitted: AnyQuery) -> Amount:
        """Have everybody who was paid for a final query credited with new NES; returns their sum.

        Raises:
            InvalidInput: the market knows no such query, or it is not answered.
            Rejected: it is not final, was rewarded before, or the period's budget is spent.
            Unavailable: the node has forgotten which seats the query drew.
        """
        receipt = await self._send(await reward_call(self.connection, submitted))
        return event_in(receipt, WorkRewarded).amount

    async def gas_deposits(self, account: Address | None = None) -> tuple[GasDeposit, ...]:
        """What an account, by default this client's, left for reporters and nobody took yet."""
        return await self._gas_deposits(account).all()

    async def gas_credit(self, account: Address | None = None) -> int:
        """Wei that the escrow of gas owes to an account, by default this client's."""
        return await self._gas_deposits(account).credit()

    async def reclaim_gas(self, account: Address | None = None) -> int:
        """Have an account, by default this client's, sent its deposits for queries that nobody is
        paid for, and what it earned of others'; returns how many wei, zero without a transaction.
        """
        return await self._gas_deposits(account).take_all_back(self._send)

    async def transfer(self, receiver: Address, amount: Amount) -> None:
        """Send NES units to an account.

        Raises:
            InvalidInput: nothing to send, or `receiver` is a contract of Nesa, where it were lost.
            ExhaustedResource: this account holds fewer.
        """
        await payment.check_transfer(self.contracts, self.address, receiver, amount)
        await self._send(self.contracts.token.transfer(receiver, amount))

    def delegations(self, account: Address | None = None) -> Delegations:
        """Stake that an account, by default this client's, delegates to operators."""
        address = self.address if account is None else account
        return Delegations(self.connection, address, self._send)

    async def withdraw_emission(self, account: Address | None = None) -> Amount:
        """Have an account, by default this client's, minted the new NES that it was credited.

        Returns what the account itself got; an operator's delegators get their part besides.
        """
        address = self.address if account is None else account
        emitter = RewardEmitter.of(self.connection)
        if not await emitter.credit_of(address, at="latest"):
            return Amount(0)
        receipt = await self._send(emitter.withdraw(address))
        return event_in(receipt, EmissionWithdrawn).amount

    def _gas_deposits(self, account: Address | None = None) -> GasDeposits:
        return GasDeposits(self.connection, self.address if account is None else account)
