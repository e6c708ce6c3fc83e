"""Queries on shares on the network: a session is opened and drawn, asked, paid and given back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from eth_keys.datatypes import PrivateKey

from nesa.chain.connection import Connection
from nesa.chain.events import ProductsListed, SessionOpened
from nesa.chain.history import find_versions
from nesa.chain.session_history import products_of, sessions_of
from nesa.chain.sessions import SharedSessions
from nesa.client.answers import OutputTensor
from nesa.client.cards import Features
from nesa.client.equivariance import encoded_features, plain_answer, require_key
from nesa.client.payment import Send
from nesa.client.results import in_words
from nesa.client.shared_draws import Drawn
from nesa.client.shared_groups import PAYING_SECONDS
from nesa.models.card import AnyCard
from nesa.models.folder import CompiledModel, load
from nesa.privacy.shared.evidence import encode_share_evidence, evidence_in
from nesa.privacy.shared.session import (
    ROUND_SECONDS,
    Blinding,
    SharedAnswer,
    SharedModel,
    Traffic,
    ask_blinded,
    blind,
)
from nesa.privacy.shared.wire import packed_bytes
from nesa.protocol.errors import (
    GroupFailed,
    InvalidInput,
    InvalidModel,
    WrongShare,
)
from nesa.protocol.ids import Address, Amount, QueryId, VersionId
from nesa.protocol.messages import MAX_SHARE_BYTES
from nesa.protocol.queries import QueryStatus
from nesa.protocol.sessions import SessionOrder, deposit

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey

ROOM: Final = 256
"""Bytes of a request or a reply beside its tensor."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedPublicModel:
    """A public model that this client holds, prepared once for queries on shares; `held` is the
    key that it is under, where it is under one."""

    public: CompiledModel
    model: SharedModel
    held: UserKey | None = field(default=None, repr=False)

    @classmethod
    def read(cls, folder: Path, held: UserKey | None = None) -> Self:
        """The model in a folder, with the key that it is under.

        Raises:
            InvalidInput: it is under another key, or under one that is missing.
            InvalidModel, IntegrityError: the folder does not hold a whole model, none of its rows
                is linear, or a share of it does not fit into one message.
        """
        public = load(folder)
        require_key(public, held)
        model = SharedModel(public.table)
        for number, product in enumerate(model.plan.products):
            longest = max(product.input_edge.nbytes, packed_bytes(product.output_edge))
            if longest + ROOM > MAX_SHARE_BYTES:
                raise InvalidModel(
                    f"product {number} of {public.name} takes messages of {longest} bytes, more "
                    f"than the {MAX_SHARE_BYTES} of the network; compile it for shorter inputs"
                )
        return cls(public, model, held)

    def encoded(self, features: Features) -> bytes:
        """The model's input; of one under a key from the features of the plain model.

        Raises:
            InvalidTensor: the features are not what the model takes.
        """
        return encoded_features(self.public, features, self.held)

    @property
    def card(self) -> AnyCard:
        """What features and answers mean: the card of the plain model."""
        return self.public.card if self.held is None else self.held.plain_card

    @property
    def first_product(self) -> str:
        """What `nesa model share` calls its first product."""
        return f"{self.public.name[:50]}-shared-0"


@dataclass(frozen=True, slots=True, eq=False)
class SharedResult:
    """The public model's answer, and what the session took.

    `deposit` and `spent` are NES units: what was taken, and what members may have of it; the rest
    comes back when the session is closed. `refused` says why members were not used, `evidence` has
    by the name of a file what convicts those of them that signed wrong sums, `unpaid` are signers
    that did not take their last voucher.
    """

    label: str | None
    index: int | None
    logits: Mapping[str, float]
    scores: Mapping[str, float]
    output: OutputTensor
    session_id: QueryId
    deposit: Amount
    spent: Amount
    gas: int
    rounds: int
    traffic: Traffic
    members: tuple[Address, ...]
    refused: Mapping[Address, str]
    evidence: Mapping[str, bytes]
    unpaid: tuple[Address, ...]


class SharedSession:
    """An open session: what its groups do before the input is known, one query, and the payment."""

    def __init__(
        self, shared: SharedPublicModel, listed: ProductsListed, opening: Opening, drawn: Drawn
    ) -> None:
        self._shared, self._listed = shared, listed
        self._opening, self._drawn = opening, drawn
        self._blinding: Blinding | None = None
        self._failures: list[GroupFailed] = []
        self._refused: Mapping[Address, str] = {}

    @property
    def session_id(self) -> QueryId:
        """The session's number."""
        return self._opening.opened.session_id

    @property
    def first_group(self) -> tuple[Address, ...]:
        """Signers who stand in the first group now."""
        return self._drawn.first.members

    @property
    def second_group(self) -> tuple[Address, ...]:
        """Signers who stand in the second group now."""
        return self._drawn.second.members

    @property
    def spares(self) -> tuple[Address, ...]:
        """Signers who stand by, in their order."""
        return tuple(self._drawn.spares.waiting)

    async def pay(self) -> tuple[Address, ...]:
        """Bring everybody its newest voucher, in a round's time; returns signers that did not take
        theirs."""
        return await self._drawn.members.pay(ROUND_SECONDS)

    async def prepare(self, *, round_seconds: float = ROUND_SECONDS) -> None:
        """Have the first group do its part, which hangs on no input; `ask` does it otherwise.

        Raises:
            GroupFailed: nobody is left to stand in for members that fail; it has the evidence.
        """
        if self._blinding is None:
            first, session = self._drawn.first, self._drawn.members.purse.session
            with self.evidence_told():
                self._blinding = await blind(
                    self._shared.model,
                    first,
                    session,
                    round_seconds=round_seconds,
                    failures=self._failures,
                )

    async def ask(
        self, features: Features, *, round_seconds: float = ROUND_SECONDS
    ) -> SharedResult:
        """Run the model on features that no member learns.

        Raises:
            InvalidTensor: the features are not what the model takes.
            ReusedRandomness: the session has served a query.
            GroupFailed: nobody is left to stand in for members that fail; it has the evidence.
        """
        model, drawn = self._shared.model, self._drawn
        inputs = (self._shared.encoded(features),)
        await self.prepare(round_seconds=round_seconds)
        assert self._blinding is not None
        session = drawn.members.purse.session
        with self.evidence_told():
            answer = await ask_blinded(
                model,
                inputs,
                self._blinding,
                drawn.second,
                session,
                round_seconds=round_seconds,
                failures=self._failures,
            )
        self._refused = answer.refused
        return self._result(answer, await drawn.members.pay(PAYING_SECONDS))

    def with_late(self, result: SharedResult) -> SharedResult:
        """The result of the query with what came of replies that were not waited for; all of it,
        once the session is left."""
        return replace(
            result,
            refused=dict(self._refused),
            evidence=self.evidence(),
            spent=self._drawn.members.purse.spent,
            unpaid=self._drawn.members.unpaid,
        )

    @contextlib.contextmanager
    def evidence_told(self) -> Iterator[None]:
        """A `GroupFailed` that passes has the evidence there is by then."""
        try:
            yield
        except GroupFailed as error:
            error.evidence = {**error.evidence, **self.evidence()}
            raise

    def evidence(self) -> dict[str, bytes]:
        """By the name of a file, what convicts members that signed wrong sums so far; also after
        an error, or when a query was broken off. Leaving a session waits for replies that are on
        their way, so that all of it is there behind the `async with`."""
        found: dict[str, bytes] = {}
        for failure in self._failures:
            if isinstance(failure, WrongShare):
                for one in evidence_in(failure, self._listed.version_ids):
                    place = one.statement.reveal.context
                    # The whole signer: colluding ones could be drawn until parts of them agree.
                    name = f"{place.query_id}-{place.attempt}-{one.statement.signer}"
                    found[f"nesa-wrong-share-{name}.cbor"] = encode_share_evidence(one)
        return found

    def _result(self, answer: SharedAnswer, unpaid: tuple[Address, ...]) -> SharedResult:
        shared, purse = self._shared, self._drawn.members.purse
        (output,) = answer.outputs
        found = shared.public.output_edge.decode(output)
        card, integers = plain_answer(shared.public, found, shared.held)
        words = in_words(card, integers)
        return SharedResult(
            label=words.label,
            index=words.index,
            logits=words.logits,
            scores=words.scores,
            output=OutputTensor(integers, card.output_edge, card.output_scale),
            session_id=self.session_id,
            deposit=deposit(purse.price, len(self._listed.version_ids), self._opening.opened.seats),
            spent=purse.spent,
            gas=self._opening.gas,
            rounds=answer.rounds,
            traffic=answer.traffic,
            members=tuple(self._drawn.members.seats),
            refused=dict(answer.refused),
            evidence=self.evidence(),
            unpaid=unpaid,
        )


@dataclass(frozen=True, slots=True)
class Opening:
    """A session that was opened, and the gas that it took."""

    opened: SessionOpened
    gas: int


async def find_products(
    connection: Connection, shared: SharedPublicModel, first: VersionId
) -> ProductsListed:
    """The list of products that begins with a version, once it is found to be that of the model.

    Raises:
        InvalidInput: there is none of this model.
        Unavailable: the node does not answer, or the deployment has no sessions.
    """
    lists = await products_of(connection, first)
    registered = {event.version_id: event for event in await find_versions(connection)}
    for listed in lists:
        found = [registered.get(version) for version in listed.version_ids]
        if len({event.developer for event in found if event}) != 1:
            continue  # anybody may list copies of what follows the first, and no member serves them
        roots = tuple(event.operators_root if event else None for event in found)
        if roots == shared.model.roots:
            return listed
    raise InvalidInput(
        f"no products of {shared.public.name} are listed that begin with this version; its "
        "developer lists them with `nesa model register-products`, and the folder has to be of the "
        "same version"
    )


def order_of(listed: ProductsListed, payer: PrivateKey, replicas: int, seats: int) -> SessionOrder:
    """The order of a session; its limit is still to be set."""
    signer = Address(payer.public_key.to_checksum_address())
    return SessionOrder(listed.products_id, replicas, seats, signer, Amount(0))


def session_key(secret: bytes) -> PrivateKey:
    """The key that signs the vouchers of one session."""
    return PrivateKey(secret)


@dataclass(frozen=True, slots=True)
class ClosedSessions:
    """Sessions that were closed, and the NES units that the account was paid."""

    session_ids: tuple[QueryId, ...]
    paid: Amount


async def close_over(connection: Connection, account: Address, send: Send) -> ClosedSessions:
    """Close every session of an account whose vouchers do not count any more, and have it paid what
    sessions owe to it.

    Raises:
        Unavailable: the node does not answer.
    """
    if connection.deployment.sessions is None:
        return ClosedSessions((), Amount(0))
    sessions, now = SharedSessions.of(connection), (await connection.head()).timestamp
    over: list[QueryId] = []
    for opened in await sessions_of(connection, account):
        until = opened.query.answer_deadline + opened.query.rules.claim_window
        status = await sessions.status_of(opened.session_id, "latest")
        if status is QueryStatus.OPEN and now > until:
            await send(sessions.close_session(opened.query))
            over.append(opened.session_id)
    credit = await sessions.credit_of(account, "latest")
    if credit.ready:
        await send(sessions.withdraw(account))
    return ClosedSessions(tuple(over), credit.ready)
