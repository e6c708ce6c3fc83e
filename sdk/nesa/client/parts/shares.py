"""Sessions of queries on shares."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

import aiohttp

from nesa.chain.events import SessionOpened
from nesa.client import payment
from nesa.client.cards import Model
from nesa.client.modes import DEFAULT_GROUP, Shared
from nesa.client.parts.connected import Connected, event_in
from nesa.client.shared_draws import draw_groups
from nesa.client.shared_offers import SharedOffer, offer_shares, seats_of
from nesa.client.sharing import (
    ClosedSessions,
    Opening,
    SharedPublicModel,
    SharedSession,
    close_over,
    order_of,
    session_key,
)
from nesa.client.suing import CheckedSuit, Decided, OnProgress, Suing, quiet
from nesa.privacy.shared.evidence import ShareEvidence
from nesa.privacy.shared.session import ROUND_SECONDS
from nesa.protocol.ids import Address, Amount
from nesa.protocol.sessions import SessionOrder

MEMBERS_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=ROUND_SECONDS)
"""A connection takes a round at most; how long a reply may take says whoever asks, who may choose
longer rounds, and who pays."""


class Shares(Connected):
    """Opens sessions, and closes them."""

    @contextlib.asynccontextmanager
    async def shared_session(
        self,
        shared: SharedPublicModel,
        products: Model | str | None = None,
        *,
        replicas: int = DEFAULT_GROUP,
        seats: int | None = None,
        max_deposit: Amount | None = None,
        attested: Address | None = None,
    ) -> AsyncGenerator[SharedSession]:
        """A session for one query on shares, to steer its steps: two groups of `replicas` members
        and their spares are drawn, `seats` in all. At the end everybody is given its last voucher;
        `close_sessions` brings the rest of the deposit back once its time is over.

        `products` is the first version of the model's products, by default the one that
        `nesa model share` names; `attested` is a contract whose attested seats alone may serve.
        `ask` with `Shared` is all of it in one call.

        Raises:
            InvalidInput: no such products, the deposit exceeds `max_deposit`, or too few are drawn.
            ExhaustedResource: the account does not hold the deposit.
            Rejected: the contract refuses; nothing was paid.
            Unavailable: the deployment has no sessions, or the node does not answer.
        """
        wanted = Shared(shared, products, replicas, seats)
        offer = await offer_shares(self._catalogue, shared.public.name, wanted, attested)
        async with self._session(offer, wanted, max_deposit) as session:
            yield session

    async def close_sessions(self, account: Address | None = None) -> ClosedSessions:
        """Close the sessions of an account, by default this client's, whose time is over, and have
        it paid what is left of their deposits, and what it earned in those of others."""
        address = self.address if account is None else account
        return await close_over(self.connection, address, self._send)

    async def check_suit(self, evidence: ShareEvidence, shared: SharedPublicModel) -> CheckedSuit:
        """What taking a member of a session to court with `evidence` of wrong sums would be, see
        `SharedResult.evidence` and `decode_share_evidence`; nothing is paid.

        Raises:
            InvalidInput: the evidence is of another network, session or model than `shared`,
                convicts nobody, or its time is over.
            Unavailable: the node does not answer.
        """
        return await self._suing.check(evidence, shared)

    async def sue(
        self,
        checked: CheckedSuit,
        on_progress: OnProgress = quiet,
        *,
        reveal_share: bool = False,
    ) -> Decided:
        """Open a checked suit, or take up one that is open, and play until it is decided and paid
        out: a defence window at least. When it was interrupted, check and call it again. A suit
        that `checked.reveals` a share of the query to the other group needs `reveal_share` to be
        opened; one that is open goes on without it.

        Raises:
            InvalidInput: it would reveal a share, and nobody said that it may; nothing was sent.
            ExhaustedResource: the account does not hold the bond, or coins for gas.
            Rejected: the court refuses.
            Unavailable: the node does not answer.
        """
        return await self._suing.see_through(checked, on_progress, reveal_share=reveal_share)

    @property
    def _suing(self) -> Suing:
        return Suing(self.connection, self.address, self._send)

    @contextlib.asynccontextmanager
    async def _session(
        self, offer: SharedOffer, wanted: Shared, max_deposit: Amount | None
    ) -> AsyncGenerator[SharedSession]:
        key = session_key(secrets.token_bytes(32))
        order = order_of(offer.listed, key, wanted.replicas, seats_of(wanted))
        opening = await self._open_session(order, offer.offered.price, max_deposit)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=MEMBERS_TIMEOUT) as http:
            drawn = await draw_groups(self.connection, opening.opened, key, http)
            session = SharedSession(wanted.shared, offer.listed, opening, drawn)
            with session.evidence_told():  # also of replies that come while it is left
                try:
                    yield session
                finally:
                    await drawn.members.leave()

    async def _open_session(
        self, order: SessionOrder, price: Amount, max_deposit: Amount | None
    ) -> Opening:
        order = replace(order, max_deposit=payment.check_fee(price, max_deposit))
        await payment.check_balance(self.contracts, self.address, price)
        receipt = await self._own_payments.open_session(order, self._send)
        return Opening(event_in(receipt, SessionOpened), receipt.gas_used)
