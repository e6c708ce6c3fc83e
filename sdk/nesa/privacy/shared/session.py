"""A shared query: round by round, two shares out, two groups' sums back, checked and added up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from nesa.models.graph import Held, Integers, Table
from nesa.privacy.envelopes import Deployment
from nesa.privacy.shared.agreeing import Claim, Question, checked
from nesa.privacy.shared.checking import Check
from nesa.privacy.shared.evaluation import ClientParts, Evaluation
from nesa.privacy.shared.groups import Group
from nesa.privacy.shared.plan import plan
from nesa.privacy.shared.polling import poll
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.seeds import ShareSeed
from nesa.privacy.shared.statements import ProductContext
from nesa.privacy.shared.wire import ShareRequest, encode_request
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address

T = TypeVar("T")

ROUND_SECONDS: Final = 30.0
"""How long a group may take for one product."""


@dataclass(slots=True)
class Traffic:
    """Bytes of all messages with all members."""

    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class SharedAnswer:
    """Outputs of the public model as canonical bytes, and what it took.

    `refused` gives for each member that was outvoted, or whose reply was not used, the reason.
    """

    outputs: tuple[bytes, ...]
    rounds: int
    traffic: Traffic
    refused: dict[Address, str] = field(default_factory=dict)


class SharedModel:
    """What a client prepares once for a model: the plan, and its own parts ready to run.

    Raises:
        InvalidModel: no row is linear, or a tensor of shares is too long for one message.
    """

    def __init__(self, table: Table) -> None:
        self.plan = plan(table)
        self.parts = ClientParts(self.plan)
        self.roots = tuple(product.table.operators_root for product in self.plan.products)


async def ask(
    model: SharedModel,
    inputs: Sequence[bytes],
    groups: tuple[Group, Group],
    deployment: Deployment,
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
    _check_apart(groups)
    query = _Query(model, groups, deployment, round_seconds)
    return await query.run(inputs)


def _check_apart(groups: tuple[Group, Group]) -> None:
    first, second = (group.members for group in groups)
    if not first or not second:
        raise InvalidInput("each of the two groups needs a member")
    if len({*first, *second}) < len(first) + len(second):
        twice = {member for member in first if member in second}
        if not twice:
            raise InvalidInput("a group names one member twice; each has one voice")
        names = ", ".join(sorted(twice))
        raise InvalidInput(f"{names} is in both groups and would see the input; choose others")


class _Query:
    """One query under way."""

    def __init__(
        self,
        model: SharedModel,
        groups: tuple[Group, Group],
        deployment: Deployment,
        round_seconds: float,
    ) -> None:
        self._model, self._groups, self._deployment = model, groups, deployment
        self._seconds = round_seconds
        self._session = secrets.token_bytes(32)
        self._traffic, self._refused = Traffic(), dict[Address, str]()

    async def run(self, inputs: Sequence[bytes]) -> SharedAnswer:
        """All rounds, each after the client's own part before it."""
        evaluation, rounds, number = self._model.parts.begin(inputs), self._model.plan.rounds, 0
        for place, products in enumerate(rounds):
            await asyncio.to_thread(evaluation.run, place)
            numbered = enumerate(products, number)
            multiplied = [self._multiply(count, one, evaluation) for count, one in numbered]
            for values in await _together(multiplied):
                evaluation.put(values)
            number += len(products)
        await asyncio.to_thread(evaluation.run, len(rounds))
        return SharedAnswer(evaluation.outputs, len(rounds), self._traffic, self._refused)

    async def _multiply(
        self, number: int, product: Product, evaluation: Evaluation
    ) -> dict[int, Integers]:
        """The accumulators of a product, from the sums of both groups."""
        seed, check = ShareSeed(), Check(product)
        first = seed.expand(product)
        second = product.digits.rest(evaluation.value(product.value), first)
        place = (self._deployment.chain_id, self._deployment.market, self._session)
        context = ProductContext(*place, number, self._model.roots[number])
        questions = [
            Question(product, context, product.digits_of(share), check) for share in (first, second)
        ]
        requests = [
            ShareRequest(self._session, number, seed.data, None),
            ShareRequest(self._session, number, None, questions[1].digits.tobytes()),
        ]
        asked = map(self._sums, self._groups, questions, requests)
        return product.combined(*await _together(list(asked)))

    async def _sums(self, group: Group, question: Question, request: ShareRequest) -> Held:
        """One group's sums, agreed by a quorum and checked."""
        data = encode_request(request)

        def read(reply: bytes, member: Address) -> Claim:
            self._traffic.received += len(reply)
            return question.read(reply, member)

        self._traffic.sent += len(data) * len(group.members)
        found = await poll(group, data, read, self._seconds)
        agreed = found.agreed()
        sums = checked(group.name, question, agreed, found.refused)
        self._refused.update(found.refused)
        return sums


async def _together(asked: Sequence[Awaitable[T]]) -> list[T]:
    """All results, or the first error, behind which nothing goes on."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
