"""Members that answer right after the quorum: paid, and there when they are needed."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from nesa.privacy.shared.groups import MemoryGroup
from nesa.privacy.shared.session import SharedModel, ask_blinded, blind
from nesa.privacy.shared.wire import decode_request
from nesa.protocol.errors import NotEntitled, Unavailable, WrongShare
from nesa.protocol.ids import Address

from .parties import SESSION, Answer, Group, off_by_one, random_inputs
from .test_session import right


class PaidGroup(MemoryGroup):
    """A group of four that asks for its pay as miners do: at most one product is on credit. The
    last one answers about the first product only when the others were paid for `others` of them;
    the first one is gone from the second product on, where it `fails`."""

    def __init__(self, answers: dict[Address, Answer], others: int, fails: bool) -> None:
        super().__init__("second", answers)
        self.at_once = 1
        self.settled, self.served = Counter[Address](), Counter[Address]()
        self._others, self._fails, self._paid = others, fails, asyncio.Event()

    def settle(self, member: Address) -> None:
        self.settled[member] += 1
        if sum(self.settled.values()) >= 3 * self._others:
            self._paid.set()

    async def ask(self, member: Address, request: bytes) -> bytes:
        number = decode_request(request).number
        if self._fails and number and member == self.members[0]:
            raise Unavailable("connection refused")
        if self.served[member] > self.settled[member]:
            raise NotEntitled("a product is not paid for")
        self.served[member] += 1
        reply = await super().ask(member, request)
        if member == self.members[-1] and not number:
            await self._paid.wait()
        return reply


async def asked(model: SharedModel, group: PaidGroup, seconds: float = 30.0):
    """One query whose second group is `group`."""
    first = Group("first", model, 1).transport
    blinding = await blind(model, first, SESSION)
    inputs = random_inputs(model, 0)
    return await ask_blinded(model, inputs, blinding, group, SESSION, round_seconds=seconds)


@pytest.mark.parametrize("others", [1, 2])
async def test_whoever_answers_late_is_paid(mlp, others):
    """As soon as it answers it is asked again."""
    group = PaidGroup(Group("second", mlp, 11, 4).answers, others, fails=False)
    answer = await asked(mlp, group)
    await group.late.arrived(group.members[-1])
    assert right(mlp, answer)
    assert group.settled[group.members[-1]] == group.served[group.members[-1]] > 0
    assert not answer.refused


async def test_whoever_answered_late_makes_up_for_a_member_that_goes(mlp):
    group = PaidGroup(Group("second", mlp, 11, 4).answers, 1, fails=True)
    answer = await asked(mlp, group)
    assert right(mlp, answer)
    assert group.settled[group.members[-1]] == len(mlp.plan.products)
    assert set(answer.refused) == {group.members[0]}


async def test_whoever_lies_late_is_named_and_not_paid(mlp):
    second = Group("second", mlp, 11, 4)
    liar = second.replace(3, off_by_one(mlp))
    group = PaidGroup(second.answers, 1, fails=False)
    answer = await asked(mlp, group)
    await group.late.arrived(liar)
    assert right(mlp, answer)
    assert set(answer.refused) == {liar}
    (failure,) = answer.failures
    assert isinstance(failure, WrongShare)
    assert failure.members == (liar,)
    assert group.settled[liar] == 0


async def test_a_reply_is_waited_for_until_its_round_is_over(mlp):
    group = PaidGroup(Group("second", mlp, 11, 4).answers, 99, fails=False)
    answer = await asked(mlp, group, seconds=5)
    await asyncio.wait_for(group.late.arrived(group.members[-1]), 60)
    assert right(mlp, answer)
    assert group.settled[group.members[-1]] == 0
