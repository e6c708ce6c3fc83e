"""What is on offer: models, their prices and risks; and who registers and vouches for them."""

from __future__ import annotations

from fractions import Fraction

from nesa.chain.admissions import SeatAttestations
from nesa.client.attesting import Attestor
from nesa.client.cards import Model
from nesa.client.evicting import EvictionOutcome, end_seats
from nesa.client.modes import Chosen, Name, Shared, chosen_mode, require_terms, seal_of
from nesa.client.ordering import DEFAULT_REPLICAS, make_order
from nesa.client.parts.connected import Connected
from nesa.client.refusals import explained
from nesa.client.registering import Developer
from nesa.client.shared_offers import offer_shares
from nesa.protocol.economics.lies import lost
from nesa.protocol.ids import Address, Amount
from nesa.protocol.queries import Assurance, count_of
from nesa.protocol.report_gas import wanted_deposit
from nesa.protocol.risk import DrawRisk, uniform_risk


class Models(Connected):
    """Reads what a network offers."""

    async def models(self) -> tuple[Model, ...]:
        """Every registered version whose card can be read and is the registered one; warns of
        each that is left out."""
        return await self._catalogue.models()

    async def model(self, name: str) -> Model:
        """A version by its name or its 0x-prefixed id.

        Raises:
            InvalidInput: there is no such model, or more than one of that name.
            IntegrityError: its card is not the registered one.
        """
        return await self._catalogue.model(name)

    async def sample(self, model: Model | str) -> list[float]:
        """One of the rows of features that a model was measured on, to try it with.

        Raises:
            InvalidModel, Unavailable, IntegrityError: its test rows are not to be had.
        """
        return await self._catalogue.sample(await self._offered(model))

    async def quote(
        self,
        model: Model | str,
        *,
        privacy: Chosen | Name = "open",
        assurance: Assurance | str | None = None,
        replicas: int | None = None,
    ) -> Amount:
        """What a query would cost now; of one on shares, the deposit of its session.

        Raises:
            InvalidInput: the mode and the other terms do not go together, or with the model.
            Rejected: the chain would not take it; the reason says why.
        """
        mode = chosen_mode(privacy)
        require_terms(mode, assurance, replicas)
        if isinstance(mode, Shared):
            return (await offer_shares(self._catalogue, model, mode, None)).offered.price
        sealed = seal_of(mode) is not None
        order = make_order(await self._offered(model), assurance, sealed, replicas)
        with explained():
            return await self.contracts.market.quote(order, at="latest")

    async def wanted_gas_deposit(
        self,
        model: Model | str,
        *,
        assurance: Assurance | str | None = None,
        replicas: int | None = None,
    ) -> int:
        """Wei that pay the gas of a query's report, at twice the price of gas of the moment.

        Nobody has to leave any: the fee is to be worth the gas. An oracle that asks for a deposit
        waits until there is one of about this size; what is too much is the oracle's.
        """
        order = make_order(await self._offered(model), assurance, False, replicas)
        offer = await self.contracts.registry.offer(order.version_id, at="latest")
        price = await self._own_sender.gas_price()
        return wanted_deposit(order.assurance, offer.shards, order.replicas, price)

    async def draw_risk(
        self,
        model: Model | str,
        *,
        replicas: int | None = None,
        corrupt: Fraction = Fraction(1, 5),
    ) -> DrawRisk:
        """What an AGREED query risks if one party had this share of the seats of every shard.

        Raises:
            InvalidInput: a shard has fewer active seats than a committee has members.
        """
        order = make_order(await self._offered(model), Assurance.AGREED, False, replicas)
        offer = await self.contracts.registry.offer(order.version_id, at="latest")
        vault = self.contracts.vault
        counts = await vault.active_counts(order.version_id, offer.shards, at="latest")
        seats = [count_of(counts, shard) for shard in range(offer.shards)]
        return uniform_risk(seats, corrupt, order.replicas)

    async def lost_by_a_lie(self, *, replicas: int = DEFAULT_REPLICAS) -> Amount:
        """NES units that the signers of a wrong AGREED answer lose at least once it is shown.

        An answer that is worth more to somebody than this times how often queries are run again is
        not safe by stake: ask for a proof. docs/economics.md says more.
        """
        limits = await self.contracts.parameters.request_limits(at="latest")
        return Amount(int(lost(limits, replicas)))

    async def end_unadmitted_seats(self, model: Model | str) -> EvictionOutcome:
        """End the seats of operators whom a version admits no more, at this account's cost of gas:
        at most 500,000 for a seat. They are drawn until the epoch is over.

        A seat that somebody else ended first is passed over, and so is one whose operator was
        admitted again meanwhile. It stops at a seat whose eviction was paid for and refused though
        it still stands; the answer says so.

        Raises:
            Rejected: the version's admission fails when it is asked, or takes too much gas.
            Unavailable: the node does not answer.
            ExhaustedResource: the account cannot pay the gas.
        """
        version_id = (await self._offered(model)).version_id
        return await end_seats(self.contracts, self._own_sender, version_id)

    def developer(self) -> Developer:
        """Registers models with this client's key."""
        return Developer(self.connection, self._own_sender)

    def attestor(self, statements: Address) -> Attestor:
        """Vouches for operators with this client's key, in a SeatAttestations contract."""
        contract = SeatAttestations(self.connection, statements)
        return Attestor(contract, self.address, self._send)
