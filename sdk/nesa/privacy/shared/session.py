"""A shared query: shares out, sums back, checked and added up, round by round."""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeVar

from nesa.models.graph import Held, Integers, Table
from nesa.privacy.shared.agreeing import Claim, Question, checked, lies_among
from nesa.privacy.shared.checking import Check
from nesa.privacy.shared.digits import Bytes
from nesa.privacy.shared.evaluation import ClientParts, Evaluation
from nesa.privacy.shared.groups import Group
from nesa.privacy.shared.plan import plan
from nesa.privacy.shared.polling import Poll, poll
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.seeds import ShareSeed
from nesa.privacy.shared.statements import Session
from nesa.privacy.shared.wire import ShareRequest, encode_request
from nesa.protocol.errors import (
    GroupFailed,
    InvalidInput,
    NesaError,
    ReusedRandomness,
    WrongShare,
)
from nesa.protocol.ids import Address, Digest

T = TypeVar("T")

ROUND_SECONDS: Final = 30.0
"""How long a group may take for one product."""


@dataclass(slots=True)
class Traffic:
    """Bytes of all messages with all members."""

    sent: int = 0
    received: int = 0

    def add(self, other: Traffic) -> None:
        """Counts another's bytes too."""
        self.sent += other.sent
        self.received += other.received


@dataclass(frozen=True, slots=True)
class SharedAnswer:
    """Outputs of the public model as canonical bytes, and what it took.

    `rounds` are those that wait for the input; the first group's are all one before.
    `refused` gives for each member that was outvoted, or whose reply was not used, the reason; it
    grows while replies come that were not waited for.
    `failures` are those of groups in which somebody else stood in, and of members that were
    outvoted; a `WrongShare` among them is evidence against its signers.
    """

    outputs: tuple[bytes, ...]
    rounds: int
    traffic: Traffic
    refused: Mapping[Address, str] = field(default_factory=dict)
    failures: tuple[GroupFailed, ...] = ()


class SharedModel:
    """What a client prepares once for a model: the plan, and its own parts ready to run.

    Raises:
        InvalidModel: no row is linear, or a tensor of shares is too long for one message.
    """

    def __init__(self, table: Table) -> None:
        self.plan = plan(table)
        self.parts = ClientParts(self.plan)
        self.roots = tuple(product.table.operators_root for product in self.plan.products)


@dataclass(frozen=True, slots=True, eq=False)
class Blinded:
    """The first share of a value, digits [count, ..], and the sums of its product."""

    share: Bytes
    sums: Held


@dataclass(slots=True)
class Blinding:
    """First shares of one query for every product, and their checked sums; made before the input.

    It blinds one query of the model whose products have these `roots`. Whoever knows it and sees
    what the second group is sent knows the input.
    """

    roots: tuple[Digest, ...]
    members: tuple[Address, ...]
    shares: tuple[Blinded, ...]
    traffic: Traffic
    refused: dict[Address, str]
    failures: tuple[GroupFailed, ...] = ()
    _used: bool = False

    def take(self) -> tuple[Blinded, ...]:
        """The shares, once.

        Raises:
            ReusedRandomness: they were taken before.
        """
        if self._used:
            raise ReusedRandomness("a blinding hides one query; make another for the next")
        self._used = True
        return self.shares


async def ask(
    model: SharedModel,
    inputs: Sequence[bytes],
    groups: tuple[Group, Group],
    session: Session,
    *,
    round_seconds: float = ROUND_SECONDS,
) -> SharedAnswer:
    """Run the model on inputs that neither group learns, bit for bit as the public model runs.

    Both groups together, or an operator that sits in both, know every value; who is in them is the
    caller's business, and this only sees that no signer is in both. Every use draws new shares.

    Raises:
        InvalidInput: the groups share a member, or one has none or names one twice.
        InvalidTensor: an input that is not of its edge type.
        GroupFailed: a group is silent, divided, or its quorum signed a wrong share; the error names
            it. Ask again with another group in its place.
    """
    first, second = groups
    _check_apart(first.members, second.members)
    _check_apart(second.members, first.members)
    model.parts.begin(inputs)  # a wrong input costs nobody a round
    blinding = await blind(model, first, session, round_seconds=round_seconds)
    return await ask_blinded(model, inputs, blinding, second, session, round_seconds=round_seconds)


async def blind(
    model: SharedModel,
    group: Group,
    session: Session,
    *,
    round_seconds: float = ROUND_SECONDS,
    failures: list[GroupFailed] | None = None,
) -> Blinding:
    """What a query needs of the first group: it hangs on no input, so all products are one round,
    at any time before. A client may be its own first group, and then has nobody to collude.

    `failures` is added to as they happen, so that they are there however this ends.

    Raises:
        InvalidInput: the group has no member or names one twice.
        GroupFailed: as of `ask`.
    """
    _check_apart(group.members, ())
    line = _Line(model, group, session, round_seconds, [] if failures is None else failures)
    shares = await _together(
        [line.blinded(number, product) for number, product in enumerate(model.plan.products)]
    )
    told = (line.traffic, line.refused, tuple(line.failures))
    return Blinding(model.roots, group.members, tuple(shares), *told)


async def ask_blinded(
    model: SharedModel,
    inputs: Sequence[bytes],
    blinding: Blinding,
    group: Group,
    session: Session,
    *,
    round_seconds: float = ROUND_SECONDS,
    failures: list[GroupFailed] | None = None,
) -> SharedAnswer:
    """As `ask`, with a first group that has done its part; `failures` as of `blind`, to which those
    of the second group are added.

    Raises:
        InvalidInput: as of `ask`, or the blinding is for another model.
        InvalidTensor: as of `ask`; the blinding is still good.
        ReusedRandomness: the blinding has served another query.
        GroupFailed: as of `ask`; the blinding is used up.
    """
    _check_apart(group.members, blinding.members)
    if blinding.roots != model.roots:
        raise InvalidInput("the blinding was made for another model; make one for this")
    evaluation, rounds = model.parts.begin(inputs), model.plan.rounds
    blinded = blinding.take()
    seen = list(blinding.failures) if failures is None else failures
    line, number = _Line(model, group, session, round_seconds, seen), 0
    for place, products in enumerate(rounds):
        await asyncio.to_thread(evaluation.run, place)
        numbered = enumerate(products, number)
        multiplied = [
            line.multiplied(count, one, evaluation, blinded[count]) for count, one in numbered
        ]
        for values in await _together(multiplied):
            evaluation.put(values)
        number += len(products)
    await asyncio.to_thread(evaluation.run, len(rounds))
    line.traffic.add(blinding.traffic)
    refused = ChainMap(line.refused, blinding.refused)
    return SharedAnswer(evaluation.outputs, len(rounds), line.traffic, refused, tuple(seen))


def _check_apart(members: tuple[Address, ...], others: tuple[Address, ...]) -> None:
    if not members:
        raise InvalidInput("each of the two groups needs a member")
    if len(set(members)) < len(members):
        raise InvalidInput("a group names one member twice; each has one voice")
    if both := sorted(set(members) & set(others)):
        names = ", ".join(both)
        raise InvalidInput(f"{names} is in both groups and would see the input; choose others")


_Asked = tuple[Bytes, Question, ShareRequest]
"""A share, what is asked about it, and how."""


class _Line:
    """What a client asks one group in one query."""

    def __init__(
        self,
        model: SharedModel,
        group: Group,
        session: Session,
        seconds: float,
        failures: list[GroupFailed],
    ) -> None:
        self._model, self._group, self._session, self._seconds = model, group, session, seconds
        self._places = asyncio.Semaphore(group.at_once)
        self.traffic, self.refused = Traffic(), dict[Address, str]()
        self.failures = failures

    async def blinded(self, number: int, product: Product) -> Blinded:
        """A share from a new seed, and its sums; from yet another one for whoever stands in."""

        def new_share(round_: int) -> _Asked:
            seed = ShareSeed()
            share = seed.expand(product)
            request = ShareRequest(number, round_, seed.data, None)
            return share, self._question(number, round_, product, share), request

        return Blinded(*await self._sums_of(new_share))

    async def multiplied(
        self, number: int, product: Product, evaluation: Evaluation, first: Blinded
    ) -> dict[int, Integers]:
        """The accumulators of a product, from the sums of the other share and the first one's.

        Whoever stands in has the same share: it is what the member before it knows already.
        """
        share = product.digits.rest(evaluation.value(product.value), first.share)

        def same_share(round_: int) -> _Asked:
            question = self._question(number, round_, product, share)
            request = ShareRequest(number, round_, None, question.digits.tobytes())
            return share, question, request

        _, sums = await self._sums_of(same_share)
        return product.combined(first.sums, sums)

    def _question(self, number: int, round_: int, product: Product, share: Bytes) -> Question:
        context = self._session.product(number)
        return Question(product, context, round_, product.digits_of(share), Check(product))

    async def _sums_of(self, asked: Callable[[int], _Asked]) -> tuple[Bytes, Held]:
        """A share and its sums, asked for as long as somebody stands in for those who fail."""
        async with self._places:
            for round_ in count():
                share, question, request = asked(round_)
                try:
                    return share, await self._sums(question, request)
                except GroupFailed as error:
                    self.failures.append(error)
                    if not self._group.replace(error.members):
                        error.failures = tuple(self.failures)
                        raise
        raise AssertionError("the rounds do not end")

    async def _sums(self, question: Question, request: ShareRequest) -> Held:
        """The group's sums, agreed by a quorum and checked."""
        data = encode_request(request)
        members = self._group.members

        def read(reply: bytes, member: Address) -> Claim:
            self.traffic.received += len(reply)
            return question.read(reply, member)

        self.traffic.sent += len(data) * len(members)
        found = await poll(self._group, data, read, self._seconds)
        for member, reply in found.late.items():
            self._group.late.follow(member, self._late(question, member, reply, found.until))
        # A share of the first group whose round fails is given up with its seed, before any value
        # was blinded by it; that of the second group is what is left of the value itself.
        is_discarded = request.seed is not None
        try:
            agreed = found.agreed()
            sums = checked(self._group.name, question, agreed, found.refused)
        except GroupFailed as error:
            right = [claim for claim in found.claims if question.accepts(claim)]
            for claim in found.claims:
                if claim not in right:
                    found.refused.setdefault(claim.member, "signed sums that are not its share's")
            self._settle(found, right)
            honest = {claim.member for claim in right}
            error.members = tuple(member for member in members if member not in honest)
            others = found.claims
            if isinstance(error, WrongShare):  # which has the quorum's statements itself
                error.is_discarded = is_discarded
                others = [one for one in others if one.statement not in error.statements]
            self._keep_lies(question, others, is_discarded=is_discarded)
            raise
        self._keep_lies(question, [claim for claim in found.claims if claim not in agreed])
        self._settle(found, agreed)
        return sums

    async def _late(
        self, question: Question, member: Address, reply: Awaitable[bytes], until: float
    ) -> None:
        """Settles with a member whose reply came after the quorum: not paid, it would refuse what
        is asked next, and the group could do without nobody any more."""
        try:
            async with asyncio.timeout_at(until):
                claim = question.read(await reply, member)
        except TimeoutError:
            self.refused[member] = "did not answer in time"
        except NesaError as error:
            self.refused[member] = str(error)
        else:
            if not question.is_own(claim):
                self.refused[member] = "sent other sums than it signed"
            elif question.accepts(claim):
                self._group.settle(member)
            else:
                self.refused[member] = "signed other sums than the quorum"
                self._keep_lies(question, [claim])

    def _keep_lies(
        self, question: Question, claims: Sequence[Claim], *, is_discarded: bool = False
    ) -> None:
        failure = lies_among(self._group.name, question, claims)
        if failure is not None:
            failure.is_discarded = is_discarded
            self.failures.append(failure)

    def _settle(self, found: Poll, right: Sequence[Claim]) -> None:
        self.refused.update(found.refused)
        for claim in right:
            if claim.member not in found.refused:
                self._group.settle(claim.member)


async def _together(asked: Sequence[Awaitable[T]]) -> list[T]:
    """All results, or the first error, behind which nothing goes on."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
