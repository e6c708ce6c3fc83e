"""Paying for queries of the market."""

from __future__ import annotations

from dataclasses import replace

from nesa.chain.economy import GasEscrow
from nesa.chain.events import QueryRequested
from nesa.client import payment
from nesa.client.answers import AnyQuery, SubmittedQuery
from nesa.client.attested_seats import require_attested
from nesa.client.cards import Features, Model
from nesa.client.contents import published, require_carriable
from nesa.client.equivariance import encoded_features
from nesa.client.modes import Name, OnMarket, key_of, market_mode, new_content_key, seal_of
from nesa.client.ordering import SealedInput, make_order, sealed_order
from nesa.client.parts.answers import Answers
from nesa.client.parts.connected import event_in
from nesa.client.refusals import explained
from nesa.client.submissions import named_when_unmined
from nesa.protocol.contents import is_long_input
from nesa.protocol.errors import InvalidInput, NesaError
from nesa.protocol.ids import Address, Amount
from nesa.protocol.queries import Assurance


class Submitting(Answers):
    """Has queries asked, and leaves coin for who reports them."""

    async def submit(
        self,
        model: Model | str,
        features: Features,
        *,
        privacy: OnMarket | Name = "open",
        assurance: Assurance | str | None = None,
        replicas: int | None = None,
        max_fee: Amount | None = None,
        gas_deposit: int = 0,
        attested: Address | None = None,
    ) -> SubmittedQuery:
        """Ask and pay; returns as soon as the query is on chain.

        A feature outside of its range is clipped, with a UserWarning that names it.
        `model` may be a name or an id, see `model`. `privacy` is "open", "sealed", or what of
        `nesa.client.modes` the market carries: `Sealed(content_key)`, `Equivariant(key)`.
        `assurance` is AGREED when nothing is said. `max_fee` is in NES units, see `ONE_NES`.
        `gas_deposit` wei wait for whoever reports the answer, see `deposit_gas`; an error of that
        has the query in `submitted`. `attested` names a contract (SeatAttestations) whose attested
        seats alone may answer.

        Raises:
            InvalidTensor: the features are not what the model takes, or far out of their range.
            InvalidInput: the price exceeds `max_fee`, the model is under another key, its seats are
                not attested, or the market does not carry the mode.
            InvalidConfiguration: the input is too long for the chain and there is no publisher, or
                the publisher cannot publish; nothing was paid.
            ExhaustedResource: the account does not hold the price.
            Rejected: the market refuses, e.g. a retired model; nothing was paid.
            Unmined: the request is in no block after ten minutes, and may still be mined and paid;
                `find` one of the error's `tx_hashes` to go on.
        """
        mode, model = market_mode(privacy), await self._offered(model)
        seal, held = seal_of(mode), key_of(mode)
        require_carriable(model.card)
        data = encoded_features(model, features, held)
        if attested is not None:
            await require_attested(self.contracts, model, attested)
        order = make_order(model, assurance, seal is not None, replicas)
        with explained():
            price = await self.contracts.market.quote(order, at="latest")
        order = replace(order, max_fee=payment.check_fee(price, max_fee))
        await payment.check_balance(self.contracts, self.address, price)
        await payment.check_coin(self.connection, self.address, gas_deposit)
        content_key = None if seal is None else seal.content_key or new_content_key()
        if content_key is not None:
            order, data = sealed_order(order, model, data, content_key)
        if is_long_input(len(data)):
            publisher = self._publisher_of(len(data))
            order, data = await published(order, model.card.input_edge, data, publisher)
        with named_when_unmined(content_key):
            receipt = await self._own_payments.request(order, data, self._send)
        query = event_in(receipt, QueryRequested).query
        asked = SubmittedQuery(query, receipt.tx_hash, receipt.gas_used, content_key, held)
        if gas_deposit:
            await self._with_gas(asked, gas_deposit)
        return asked

    async def seal(
        self, model: Model | str, features: Features, *, assurance: Assurance | str
    ) -> SealedInput:
        """An input under a new content key, for a contract that asks about it in its own name.

        Pass digest and ciphertext to the contract; `result(find(number, content_key=...))` with the
        number that the market gave its query hands the key to whoever is drawn.

        Raises:
            InvalidTensor: the features are not what the model takes, or far out of their range.
            InvalidInput: the model does not prove sealed queries, or the input is too long.
        """
        model = await self._offered(model)
        data, content_key = model.encode_features(features), new_content_key()
        order = make_order(model, assurance, True, None)
        order, ciphertext = sealed_order(order, model, data, content_key)
        if is_long_input(len(ciphertext)):
            raise InvalidInput("the input is too long for a contract to pass on; ask by yourself")
        return SealedInput(order.input_digest, ciphertext, content_key)

    async def deposit_gas(self, submitted: AnyQuery, wei: int) -> None:
        """Leave native coin for whoever reports a query's answer: the fee is in NES, gas is not.

        `refund` brings it back when nobody answers.

        Raises:
            InvalidInput: a negative number of wei.
            ExhaustedResource: the account does not hold the coin.
            Rejected: nothing to deposit, or the query is not open any more.
        """
        await payment.check_coin(self.connection, self.address, wei)
        query_id = (await self._newest(submitted)).query.query_id
        await self._send(GasEscrow.of(self.connection).deposit(query_id, wei))

    async def gas_held_for(self, query: AnyQuery) -> int:
        """Wei that wait for whoever reports a query, from all depositors.

        Raises:
            InvalidInput: it is no query.
        """
        query_id = (await self.find(query)).query_id
        return await GasEscrow.of(self.connection).held_for(query_id, at="latest")

    async def _with_gas(self, asked: SubmittedQuery, wei: int) -> None:
        try:
            await self.deposit_gas(asked, wei)
        except NesaError as error:
            error.submitted = asked
            raise
