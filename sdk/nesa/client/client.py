"""The client: connect, choose a model, ask, await, read."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import aiohttp
from eth_account.signers.local import LocalAccount

from nesa.chain.abi import ContractCall
from nesa.chain.admissions import SeatAttestations
from nesa.chain.connection import Connection, RpcPolicy
from nesa.chain.contracts import Contracts, Order
from nesa.chain.deployment import KeyFile, Network, read_network
from nesa.chain.economy import GasEscrow, RewardEmitter
from nesa.chain.events import (
    AttemptOpened,
    CreditWithdrawn,
    EmissionWithdrawn,
    QueryRequested,
    SessionOpened,
    WorkRewarded,
    decode_event,
)
from nesa.chain.history import find_query
from nesa.chain.keystore import load_keystore, read_password_file
from nesa.chain.sender import OnIntent, Receipt, Sender, SendPolicy, forget
from nesa.chain.sessions import SharedSessions
from nesa.client import payment, sharing
from nesa.client.answers import Answer, AnyQuery, Balance, SubmittedQuery
from nesa.client.attested_seats import require_attested
from nesa.client.attesting import Attestor
from nesa.client.awaiting import Awaiting, OnStage
from nesa.client.cards import Features, Model
from nesa.client.catalogue import Catalogue
from nesa.client.contents import published, require_carriable, require_local
from nesa.client.delegating import Delegations
from nesa.client.equivariance import encoded_features
from nesa.client.following import Following
from nesa.client.gas_deposits import GasDeposit, GasDeposits
from nesa.client.granting import granted_view, require_content_key
from nesa.client.hybrid.offers import QueryPlan, Wish, plan_query, read_sensitivity
from nesa.client.hybrid.rule import Sensitivity
from nesa.client.ordering import (
    AUTO,
    DEFAULT_REPLICAS,
    SEALED,
    SealedInput,
    choose_content_key,
    make_order,
    read_privacy,
    sealed_order,
)
from nesa.client.publishing import ContentServer, Publisher
from nesa.client.refusals import explained
from nesa.client.registering import Developer
from nesa.client.rewarding import reward_call
from nesa.client.sharing import SharedPublicModel, SharedResult
from nesa.client.splitting import SplitModel
from nesa.client.submissions import find_submitted, named_when_unmined
from nesa.client.summoning import CalledMember, Summoner
from nesa.client.watching import Stage
from nesa.privacy.grants import ViewGrant
from nesa.privacy.sealing import CONTENT_KEY_BYTES
from nesa.protocol.contents import is_long_input
from nesa.protocol.economics.lies import lost
from nesa.protocol.errors import Incompatible, InvalidConfiguration, InvalidInput, NesaError
from nesa.protocol.ids import Address, Amount
from nesa.protocol.queries import Assurance, Privacy, count_of
from nesa.protocol.report_gas import wanted_deposit
from nesa.protocol.risk import DrawRisk, uniform_risk
from nesa.protocol.sessions import SessionOrder

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey

_Event = TypeVar("_Event")

OnPlan = Callable[[QueryPlan], Awaitable[None]]
"""Is shown how a query will be asked, before it is paid."""

DEFAULT_POLICY: Final = RpcPolicy()
NO_KEY: Final = (
    "this client has no key to pay with: give --keystore and --password-file (key= in Python)"
)


class Client:
    """A person's or a program's door to Nesa; an async context manager. Make one with `connect`."""

    def __init__(
        self,
        network: Network,
        key: KeyFile | LocalAccount | None,
        policy: RpcPolicy,
        on_intent: OnIntent = forget,
        publisher: Publisher | None = None,
    ) -> None:
        self._network = network
        self._key = key
        self._policy = policy
        self._on_intent = on_intent
        self._publisher = publisher
        self._stack = contextlib.AsyncExitStack()
        self._connection: Connection | None = None
        self._sender: Sender | None = None
        self._payments: payment.Payments | None = None
        self._account: LocalAccount | None = None

    @classmethod
    def connect(
        cls,
        network: str | Path | Network,
        *,
        rpc_url: str | None = None,
        key: KeyFile | LocalAccount | None = None,
        policy: RpcPolicy = DEFAULT_POLICY,
        on_intent: OnIntent = forget,
        publisher: Publisher | None = None,
    ) -> Self:
        """A client of the network in a file; it pays with `key`, or with the file's own client key.

        The file is a network file, or a deployment file together with the `rpc_url` of a node.
        `on_intent` is awaited with every signed transaction before it leaves; what it raises keeps
        the transaction here. `publisher` is where inputs go that are too long for the chain, see
        `nesa.client.publishing`; on a chain of this machine they are served from here.

        Raises:
            InvalidConfiguration: the file is not there or says nothing useful.
        """
        read = network if isinstance(network, Network) else read_network(Path(network), rpc_url)
        paying = read.client if key is None else key
        return cls(read, paying, policy, on_intent, publisher)

    async def __aenter__(self) -> Self:
        account = await self._unlock()
        deployment = self._network.contracts
        if deployment.chain_id != self._network.chain_id:
            raise Incompatible("the network file names two different chains; make it anew")
        connection = await Connection.open(self._network.rpc_url, deployment, self._policy)
        self._connection = await self._stack.enter_async_context(connection)
        self._account = account
        if account is not None:
            patience = SendPolicy(poll=self._policy.poll)
            self._sender = Sender(connection, account, patience, self._on_intent)
            self._payments = payment.Payments(connection, account)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        if self._publisher is not None:
            await self._publisher.close()

    @property
    def connection(self) -> Connection:
        """The node that this client talks to.

        Raises:
            InvalidConfiguration: outside of the client's context.
        """
        if self._connection is None:
            raise InvalidConfiguration("use the client inside `async with Client.connect(…)`")
        return self._connection

    @property
    def contracts(self) -> Contracts:
        """The contracts, for what the client has no method for."""
        return Contracts(self.connection)

    @property
    def address(self) -> Address:
        """Who pays.

        Raises:
            InvalidConfiguration: the client has no key.
        """
        return Address(self._payer.address)

    # === Models ===

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
        assurance: Assurance | str = Assurance.AGREED,
        sealed: bool = False,
        replicas: int | None = None,
    ) -> Amount:
        """What a query would cost now.

        Raises:
            Rejected: the market would not take it; the reason says why.
        """
        order = make_order(await self._offered(model), assurance, sealed, replicas)
        return await self._price(order)

    async def wanted_gas_deposit(
        self,
        model: Model | str,
        *,
        assurance: Assurance | str = Assurance.AGREED,
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

    def developer(self) -> Developer:
        """Registers models with this client's key."""
        return Developer(self.connection, self._own_sender)

    def attestor(self, statements: Address) -> Attestor:
        """Vouches for operators with this client's key, in a SeatAttestations contract."""
        contract = SeatAttestations(self.connection, statements)
        return Attestor(contract, self.address, self._send)

    # === Asking ===

    async def plan(
        self,
        model: Model | str,
        *,
        sensitivity: Sensitivity | str,
        deadline: int | None = None,
        max_fee: Amount | None = None,
        replicas: int | None = None,
        attested: Address | None = None,
        watched: bool = False,
        split: bool = False,
        equivariant_key: UserKey | None = None,
    ) -> QueryPlan:
        """How `ask(..., privacy="auto")` would ask, and why; nothing is paid.

        `sensitivity` is public, personal or critical, see `Sensitivity`. `deadline` is in seconds,
        `max_fee` in NES units. `watched` says that a watcher will get a view grant, `split` that
        the plan is for `ask_split`. `ask_split(..., **plan.terms)` and `submit` ask as planned.

        Raises:
            InvalidInput: nothing here is private enough within deadline and limit; it says of each
                way what would have to change.
            Rejected: there is no such version, or it is retired.
        """
        wish = Wish(
            sensitivity=read_sensitivity(sensitivity),
            deadline=deadline,
            budget=max_fee,
            replicas=replicas,
            attested=attested,
            watched=watched,
            split=split,
            encoded=equivariant_key is not None,
        )
        return await plan_query(self.contracts, await self._offered(model), wish)

    async def ask(
        self,
        model: Model | str,
        features: Features,
        *,
        assurance: Assurance | str | None = None,
        sealed: bool = False,
        privacy: str | None = None,
        sensitivity: Sensitivity | str | None = None,
        deadline: int | None = None,
        on_plan: OnPlan | None = None,
        replicas: int | None = None,
        max_fee: Amount | None = None,
        gas_deposit: int = 0,
        equivariant_key: UserKey | None = None,
        attested: Address | None = None,
    ) -> Answer:
        """Ask, pay, and wait for the answer; see `submit` and `result`.

        `privacy` is "open", "sealed" (as `sealed=True`) or "auto": then `plan` chooses privacy and
        assurance from `sensitivity`, `deadline` and `max_fee`, and `on_plan` is awaited with the
        plan before anything is paid; what it raises keeps the query here.

        An error after the payment has the query in `submitted`: `result(error.submitted)` goes on.
        """
        fixed = assurance is not None
        sensitive = sensitivity is not None or deadline is not None
        kind = read_privacy(privacy, sealed, fixed, sensitive)
        limits: dict[str, Any] = {"replicas": replicas, "max_fee": max_fee, "attested": attested}
        if kind == AUTO:
            wished: dict[str, Any] = {"sensitivity": sensitivity, "deadline": deadline, **limits}
            plan = await self.plan(model, equivariant_key=equivariant_key, **wished)
            if on_plan is not None:
                await on_plan(plan)
            model, terms = plan.model, plan.terms
        else:
            terms = {"assurance": assurance or Assurance.AGREED, "sealed": kind == SEALED, **limits}
        rest: dict[str, Any] = {"gas_deposit": gas_deposit, "equivariant_key": equivariant_key}
        return await self.result(await self.submit(model, features, **terms, **rest))

    async def ask_split(
        self, split: SplitModel, middle: Model | str, features: Features, **terms: Any
    ) -> Answer:
        """Ask the middle layers of a model, and compute the others here; `terms` as of `ask`.

        The network sees activations behind the first layers, never the features. They can be
        turned back into much of the input where the first layers are known (docs/privacy.md).

        Raises:
            IntegrityError: `middle` is not what the model was split into; nothing was paid.
            InvalidTensor, InvalidInput, and others: as `ask`.
        """
        found = await self._offered(middle)
        developer = await self.contracts.registry.developer_of(found.version_id, at="latest")
        split.require_middle(found, developer)
        begun = split.begin(features)
        answer = await self.ask(found, found.card.input_edge.decode(begun.sent), **terms)
        return split.finish(begun, answer)

    async def ask_shared(
        self,
        shared: SharedPublicModel,
        features: Features,
        products: Model | str | None = None,
        **terms: Any,
    ) -> SharedResult:
        """Ask two groups of members, neither of which learns the features; see `shared_session`.

        Both together do, and this client has to hold the model (docs/shared-queries.md).

        Raises:
            InvalidTensor: the features are not what the model takes; nothing was paid.
            GroupFailed, and others: as `shared_session` and `SharedSession.ask`.
        """
        shared.encoded(features)
        async with self.shared_session(shared, products, **terms) as session:
            return await session.ask(features)

    @contextlib.asynccontextmanager
    async def shared_session(
        self,
        shared: SharedPublicModel,
        products: Model | str | None = None,
        *,
        replicas: int = sharing.DEFAULT_GROUP,
        seats: int = sharing.DEFAULT_SEATS,
        max_deposit: Amount | None = None,
    ) -> AsyncGenerator[sharing.SharedSession]:
        """A session for one query on shares: two groups of `replicas` members and their spares are
        drawn, `seats` in all. At the end everybody is given its last voucher; `close_sessions`
        brings the rest of the deposit back once its time is over.

        `products` is the first version of the model's products, by default the one that
        `nesa model share` names.

        Raises:
            InvalidInput: no such products, the deposit exceeds `max_deposit`, or too few are drawn.
            ExhaustedResource: the account does not hold the deposit.
            Rejected: the contract refuses; nothing was paid.
            Unavailable: the deployment has no sessions, or the node does not answer.
        """
        first = await self._offered(products or shared.first_product)
        listed = await sharing.find_products(self.connection, shared, first.version_id)
        key = sharing.session_key(secrets.token_bytes(32))
        order = sharing.order_of(listed, key, replicas, seats)
        opening = await self._open_session(order, max_deposit)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            drawn = await sharing.draw_groups(self.connection, opening.opened, key, http)
            try:
                yield sharing.SharedSession(shared, listed, opening, drawn)
            finally:
                await drawn.members.pay()

    async def close_sessions(self, account: Address | None = None) -> sharing.ClosedSessions:
        """Close the sessions of an account, by default this client's, whose time is over, and have
        it paid what is left of their deposits, and what it earned in those of others."""
        address = self.address if account is None else account
        return await sharing.close_over(self.connection, address, self._send)

    async def _open_session(
        self, order: SessionOrder, max_deposit: Amount | None
    ) -> sharing.Opening:
        with explained():
            price = await SharedSessions.of(self.connection).deposit_for(order, at="latest")
        order = replace(order, max_deposit=payment.check_fee(price, max_deposit))
        await payment.check_balance(self.contracts, self.address, price)
        receipt = await self._own_payments.open_session(order, self._send)
        return sharing.Opening(_only(SessionOpened, receipt), receipt.gas_used)

    async def submit(
        self,
        model: Model | str,
        features: Features,
        *,
        assurance: Assurance | str = Assurance.AGREED,
        sealed: bool = False,
        replicas: int | None = None,
        max_fee: Amount | None = None,
        content_key: bytes | None = None,
        gas_deposit: int = 0,
        equivariant_key: UserKey | None = None,
        attested: Address | None = None,
    ) -> SubmittedQuery:
        """Ask and pay; returns as soon as the query is on chain.

        A feature outside of its range is clipped, with a UserWarning that names it.
        `model` may be a name or an id, see `model`. `max_fee` is in NES units, see `ONE_NES`.
        A sealed query is sealed with `content_key`, by default with a new one: who stores one of
        32 secret random bytes beforehand can read the answer whatever happens in between.
        `gas_deposit` wei wait for whoever reports the answer, see `deposit_gas`; an error of that
        has the query in `submitted`. A model under a user's key is asked with `equivariant_key`,
        see `nesa.privacy.equivariant`: features and answer are those of the plain model.
        `attested` names a contract (SeatAttestations) whose attested seats alone may answer.

        Raises:
            InvalidTensor: the features are not what the model takes, or far out of their range.
            InvalidInput: the price exceeds `max_fee`, the content key is none, the model is under
                another key, or its seats are not attested.
            InvalidConfiguration: the input is too long for the chain and there is no publisher, or
                the publisher cannot publish; nothing was paid.
            ExhaustedResource: the account does not hold the price.
            Rejected: the market refuses, e.g. a retired model; nothing was paid.
            Unmined: the request is in no block after ten minutes, and may still be mined and paid;
                `find` one of the error's `tx_hashes` to go on.
        """
        model = await self._offered(model)
        require_carriable(model.card)
        content_key = choose_content_key(content_key, sealed)
        data = encoded_features(model, features, equivariant_key)
        if attested is not None:
            await require_attested(self.contracts, model, attested)
        order = make_order(model, assurance, sealed, replicas)
        price = await self._price(order)
        order = replace(order, max_fee=payment.check_fee(price, max_fee))
        await payment.check_balance(self.contracts, self.address, price)
        await payment.check_coin(self.connection, self.address, gas_deposit)
        if content_key is not None:
            order, data = sealed_order(order, model, data, content_key)
        if is_long_input(len(data)):
            publisher = self._publisher_of(len(data))
            order, data = await published(order, model.card.input_edge, data, publisher)
        with named_when_unmined(content_key):
            receipt = await self._own_payments.request(order, data, self._send)
        requested = _only(QueryRequested, receipt)
        keys = (content_key, equivariant_key)
        asked = SubmittedQuery(requested.query, receipt.tx_hash, receipt.gas_used, *keys)
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
        data, content_key = model.encode_features(features), secrets.token_bytes(CONTENT_KEY_BYTES)
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

    async def allow(self, amount: Amount) -> None:
        """Let the market take up to `amount` NES units for queries that this account asks.

        With an allowance many queries can be asked at once; without, each is paid by a signature of
        its own, one a block. 0 takes it back.

        Raises:
            ExhaustedResource: no coins for gas.
        """
        contracts = self.contracts
        await self._send(contracts.token.approve(contracts.market.address, amount))

    async def find(
        self,
        query: AnyQuery,
        *,
        content_key: bytes | None = None,
        equivariant_key: UserKey | None = None,
    ) -> SubmittedQuery:
        """A query that was asked before, with the keys that it was asked with.

        Raises:
            InvalidInput: the market knows no such query, or the content key is another's.
        """
        submitted = await find_submitted(self.connection, query)
        if content_key is not None and submitted.query.privacy is Privacy.SEALED:
            asked = (await find_query(self.connection, submitted.query_id)).requested
            require_content_key(asked, content_key)
        return replace(
            submitted,
            content_key=content_key or submitted.content_key,
            equivariant_key=equivariant_key or submitted.equivariant_key,
        )

    async def result(
        self, submitted: AnyQuery, on_stage: OnStage | None = None, *, early: bool = False
    ) -> Answer:
        """Wait until a query is answered; a sealed one's key is given to its committees meanwhile.

        A CHALLENGED query is waited for until its answer is FINAL or OVERTURNED, see
        `Answer.status`; `early` returns it as soon as it is reported, while it is disputable.

        Reorganisations of the chain are followed, and a node that is away is waited for until the
        answer deadline. `on_stage` is awaited at every stage of the query's life.

        Raises:
            QueryExpired: nobody answered in time; `refund` takes the fee back.
            QueryRefunded: the fee went back already.
            QueryFailed: a reorganisation undid the request for good.
            Unavailable: the node is away for too long; `result(error.submitted)` goes on.
        """
        following = await self._following(submitted)
        awaiting = Awaiting(self.connection, self._catalogue, following, lambda: self._payer)
        return await awaiting.answer(on_stage, early=early)

    async def watch(self, submitted: AnyQuery) -> AsyncGenerator[Stage, None]:
        """Every stage of a query's life as it happens, from its request to its end.

        Raises:
            InvalidInput: the market knows no such query.
            QueryFailed, Unavailable: see `result`.
        """
        following = await self._following(submitted)
        async with contextlib.aclosing(following.stages()) as stages:
            async for stage in stages:
                yield stage

    async def refund(self, submitted: AnyQuery) -> Amount:
        """Take back the fee of a query that nobody answered in time, and pay it out.

        The fee of somebody else's query becomes that account's credit, and is not paid out.

        Raises:
            Rejected: it can still be answered, or is answered, or was refunded.
        """
        query = (await self._newest(submitted)).query
        await self._send(self.contracts.market.refund(query))
        if query.requester == self.address:
            await self.withdraw()
        await self._gas_deposits().take_back(query.query_id, self._send)
        return query.fee

    async def retry(self, submitted: AnyQuery) -> SubmittedQuery:
        """Open another attempt, with another draw, of an unanswered query of this client's own.

        A sealed query must be given as `submit` returned it, with its content key.

        Raises:
            Rejected: too early, too often, or it is answered.
        """
        newest = await self._newest(submitted)
        receipt = await self._send(self.contracts.market.retry(newest.query))
        return replace(newest, query=_only(AttemptOpened, receipt).query)

    async def summon(self, submitted: AnyQuery, shard: int) -> tuple[CalledMember, ...]:
        """Call the members of a shard on which a query seems to wait to answer on chain, for a bond
        each; returns once each has answered or was found absent, so that a spare has its slot.

        Raises:
            InvalidInput: the query has no such shard.
            ExhaustedResource: this client does not hold the bonds.
            Rejected: too early, too late, or all were called before.
        """
        query = (await self._newest(submitted)).query
        return await Summoner(self.connection, self.address, self._send).summon(query, shard)

    async def grant_view(self, submitted: SubmittedQuery, holder: bytes) -> ViewGrant:
        """Let the holder of a view key (32 bytes, of a watchtower) see a sealed query of this
        client, and challenge its answer; `encode_grant` makes a file of the grant.

        Raises:
            InvalidInput: the query is open or another account's, its content key is missing or
                another query's, or the view key is none.
        """
        found = await find_query(self.connection, submitted.query_id)
        key, payer = submitted.content_key, self._payer
        return granted_view(found.requested, key, holder, payer, self.connection.deployment)

    # === Money ===

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
        return _only(CreditWithdrawn, receipt).amount

    async def reward(self, submitted: AnyQuery) -> Amount:
        """Have everybody who was paid for a final query credited with new NES; returns their sum.

        Raises:
            InvalidInput: the market knows no such query, or it is not answered.
            Rejected: it is not final, was rewarded before, or the period's budget is spent.
            Unavailable: the node has forgotten which seats the query drew.
        """
        receipt = await self._send(await reward_call(self.connection, submitted))
        return _only(WorkRewarded, receipt).amount

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
        return _only(EmissionWithdrawn, receipt).amount

    # === Internals ===

    @property
    def _payer(self) -> LocalAccount:
        if self._account is None:
            raise InvalidConfiguration(NO_KEY)
        return self._account

    @property
    def _own_sender(self) -> Sender:
        if self._sender is None:
            raise InvalidConfiguration(NO_KEY)
        return self._sender

    @property
    def _own_payments(self) -> payment.Payments:
        if self._payments is None:
            raise InvalidConfiguration(NO_KEY)
        return self._payments

    def _publisher_of(self, size: int) -> Publisher:
        """Where a long input of `size` bytes goes; it stays there until this closes."""
        if self._publisher is None:
            require_local(self._network.chain_id, size)
            self._publisher = ContentServer()
        return self._publisher

    @property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.connection, self._network.models)

    async def _unlock(self) -> LocalAccount | None:
        if not isinstance(self._key, KeyFile):
            return self._key
        password = read_password_file(self._key.password_file)
        return await asyncio.to_thread(load_keystore, self._key.keystore, password)

    async def _offered(self, model: Model | str) -> Model:
        return model if isinstance(model, Model) else await self.model(model)

    async def _price(self, order: Order) -> Amount:
        with explained():
            return await self.contracts.market.quote(order, at="latest")

    async def _send(self, call: ContractCall) -> Receipt:
        with explained():
            return await self._own_sender.send(call)

    def _gas_deposits(self, account: Address | None = None) -> GasDeposits:
        return GasDeposits(self.connection, self.address if account is None else account)

    async def _following(self, submitted: AnyQuery) -> Following:
        return Following(self.connection, await find_submitted(self.connection, submitted))

    async def _newest(self, submitted: AnyQuery) -> SubmittedQuery:
        return await (await self._following(submitted)).newest()


def _only(kind: type[_Event], receipt: Receipt) -> _Event:
    for log in receipt.logs:
        event = decode_event(log)
        if isinstance(event, kind):
            return event
    raise Incompatible(f"the market did not say {kind.__name__}; is this another release?")
