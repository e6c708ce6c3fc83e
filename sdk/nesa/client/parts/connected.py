"""The client's connection: opened and closed, who pays, and how calls are sent."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from eth_account.signers.local import LocalAccount

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Connection, RpcPolicy
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import KeyFile, Network, read_network
from nesa.chain.events import decode_event
from nesa.chain.keystore import load_keystore, read_password_file
from nesa.chain.sender import OnIntent, Receipt, Sender, SendPolicy, forget
from nesa.client import payment
from nesa.client.cards import Model
from nesa.client.catalogue import Catalogue
from nesa.client.contents import require_local
from nesa.client.publishing import ContentServer, Publisher
from nesa.client.refusals import explained
from nesa.protocol.errors import Incompatible, InvalidConfiguration
from nesa.protocol.ids import Address

_Event = TypeVar("_Event")

DEFAULT_POLICY: Final = RpcPolicy()
NO_KEY: Final = (
    "this client has no key to pay with: give --keystore and --password-file (key= in Python)"
)


class Connected:
    """An async context manager that holds the connection and the key."""

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

    @property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.connection, self._network.models)

    async def _offered(self, model: Model | str) -> Model:
        return model if isinstance(model, Model) else await self._catalogue.model(model)

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

    async def _unlock(self) -> LocalAccount | None:
        if not isinstance(self._key, KeyFile):
            return self._key
        password = read_password_file(self._key.password_file)
        return await asyncio.to_thread(load_keystore, self._key.keystore, password)

    async def _send(self, call: ContractCall) -> Receipt:
        with explained():
            return await self._own_sender.send(call)


def event_in(receipt: Receipt, kind: type[_Event]) -> _Event:
    """The event of a kind that a transaction must have logged.

    Raises:
        Incompatible: it did not.
    """
    for log in receipt.logs:
        event = decode_event(log)
        if isinstance(event, kind):
            return event
    raise Incompatible(f"the chain did not say {kind.__name__}; is this another release?")
