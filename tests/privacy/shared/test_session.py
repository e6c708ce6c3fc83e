"""Whole queries: equal to the public model bit for bit, and what every misbehaviour leads to."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from nesa.models import reference
from nesa.privacy.shared.groups import MemoryGroup, Spares
from nesa.privacy.shared.session import SharedAnswer, SharedModel, ask, ask_blinded, blind
from nesa.privacy.shared.wire import MAX_SHARE_MESSAGE, decode_reply, decode_request, encode_reply
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import (
    GroupDivided,
    GroupSilent,
    InvalidInput,
    InvalidTensor,
    NesaError,
    ReusedRandomness,
    Unavailable,
    WrongShare,
)
from nesa.protocol.ids import ZERO_DIGEST, Address

from .parties import SESSION, Group, off_by_one, random_inputs, recording, tampering


async def answered(model: SharedModel, pair: tuple[Group, Group], seed: int = 0, **options):
    """One query of two groups."""
    transports = (pair[0].transport, pair[1].transport)
    return await ask(model, random_inputs(model, seed), transports, SESSION, **options)


def right(model: SharedModel, answer: SharedAnswer, seed: int = 0) -> bool:
    """Whether the answer is that of the public model."""
    table = model.plan.table
    return answer.outputs == reference.run(table, random_inputs(model, seed))


@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer"])
async def test_an_answer_is_that_of_the_public_model(name, request):
    model = request.getfixturevalue(name)
    pair = Group("first", model, 1), Group("second", model, 2)
    for seed in range(20):
        assert right(model, await answered(model, pair, seed), seed)


async def test_rows_that_do_not_wait_for_each_other_share_a_round(transformer):
    sizes = [len(found) for found in transformer.plan.rounds]
    assert sizes == [1, 1]
    assert [len(product.sums) for product in transformer.plan.products] == [3, 1]


def speaks_first(group, one, others):
    """The signer of a member that answers as `one` says, and is heard before the rest of its group
    is asked, which does as `others` says."""
    for place in (1, 2, 3):
        group.replace(place, others)
    group.heard_first = group.replace(0, one)
    return group.heard_first


@pytest.mark.parametrize("lying", [0, 1])
async def test_a_member_that_lies_is_outvoted_and_named(mlp, groups, lying):
    """The share is used all the same, so that a suit over it gives it away."""
    named = speaks_first(groups[lying], off_by_one(mlp), lambda member, key: member.answer)
    answer = await answered(mlp, groups)
    assert right(mlp, answer)
    assert "other sums than the quorum" in answer.refused[named]
    for failure in answer.failures:
        assert isinstance(failure, WrongShare)
        assert [one.signer for one in failure.statements] == [named]
        assert not failure.is_discarded
    # What comes when the others have agreed is not waited for.
    assert 1 <= len(answer.failures) <= len(mlp.plan.products)


@pytest.mark.parametrize("lying", [0, 1])
async def test_a_group_that_lies_with_one_voice_is_caught_at_once(mlp, groups, lying):
    for place in range(4):
        groups[lying].replace(place, off_by_one(mlp))
    with pytest.raises(WrongShare, match="signed sums that are not those") as caught:
        await answered(mlp, groups)
    assert caught.value.group == groups[lying].name
    statement = caught.value.statements[0]
    product = mlp.plan.products[statement.reveal.context.attempt]
    shown = boundary_digest((product.input_edge,), (caught.value.digits,))
    sums = reference.run(product.table, (caught.value.digits,))
    assert statement.reveal.in_digest == shown
    assert statement.reveal.out_digest != boundary_digest((product.output_edge,), sums)
    signers = {statement.signer for statement in caught.value.statements}
    assert len(signers) >= 3
    assert signers <= set(groups[lying].addresses)


@pytest.mark.parametrize("lying", [0, 1])
async def test_a_minority_that_lies_otherwise_than_the_quorum_is_kept_too(mlp, groups, lying):
    """Its statement convicts it as those of the others do."""
    alone = speaks_first(groups[lying], off_by_one(mlp, by=2), off_by_one(mlp))
    with pytest.raises(WrongShare, match="a quorum of group") as caught:
        await answered(mlp, groups)
    assert alone not in {one.signer for one in caught.value.statements}
    minority, quorum = caught.value.failures
    assert isinstance(minority, WrongShare)
    assert [one.signer for one in minority.statements] == [alone]
    assert quorum is caught.value
    assert minority.is_discarded is quorum.is_discarded is (lying == 0)


async def test_a_convolution_off_by_one_is_caught(cnn):
    pair = Group("first", cnn, 1), Group("second", cnn, 2)
    pair[0].replace(0, off_by_one(cnn))
    with pytest.raises(WrongShare) as caught:
        await answered(cnn, pair)
    assert caught.value.group == "first"


async def test_a_member_that_sends_other_sums_than_it_signed_is_passed_over(mlp, groups):
    named = [groups[0].replace(place, tampering(mlp)) for place in (0, 1)]
    pair = (groups[0], Group("second", mlp, 21))
    answer = await answered(mlp, pair)
    assert right(mlp, answer)
    assert set(answer.refused) <= set(named)
    assert all("than it signed" in reason for reason in answer.refused.values())


async def test_a_group_that_only_sends_other_sums_than_it_signed_is_named(mlp):
    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    pair[1].replace(0, tampering(mlp))
    with pytest.raises(WrongShare, match="nobody of group 'second' sent") as caught:
        await answered(mlp, pair)
    assert caught.value.group == "second"


async def test_a_group_that_splits_is_named(mlp, groups):
    for place in (0, 1):
        groups[0].replace(place, off_by_one(mlp))
    with pytest.raises(GroupDivided, match="no quorum alike; choose another") as caught:
        await answered(mlp, groups)
    assert caught.value.group == "first"
    statements = [
        (statement.signer, failure.is_discarded)
        for failure in caught.value.failures
        if isinstance(failure, WrongShare)
        for statement in failure.statements
    ]
    assert set(statements) == {(address, True) for address in groups[0].addresses[:2]}


async def test_a_group_that_stops_is_named_in_time(mlp, groups):
    stop = threading.Event()

    def stopped(member, key):
        def answer(data: bytes) -> bytes:
            stop.wait(30)
            return member.answer(data)

        return answer

    for place in (0, 1):
        groups[1].replace(place, stopped)
    try:
        with pytest.raises(GroupSilent, match="did not answer in time") as caught:
            await answered(mlp, groups, round_seconds=5)
    finally:
        stop.set()
    assert caught.value.group == "second"


async def test_one_member_of_four_may_be_gone(mlp, groups):
    def gone(member, key):
        def answer(data: bytes) -> bytes:
            raise Unavailable("connection refused")

        return answer

    groups[0].replace(2, gone)
    assert right(mlp, await answered(mlp, groups))


def garbled(reply: bytes) -> bytes:
    return reply[:-1]


def oversized(reply: bytes) -> bytes:
    return bytes(MAX_SHARE_MESSAGE + 1)


def shortened(reply: bytes) -> bytes:
    return encode_reply(replace(decode_reply(reply), sums=b"\0"))


def out_of_range(reply: bytes) -> bytes:
    read = decode_reply(reply)
    top = b"\xff" * len(read.sums)
    return encode_reply(replace(read, sums=top))


def resigned(reply: bytes) -> bytes:
    return encode_reply(replace(decode_reply(reply), out_digest=ZERO_DIGEST))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (garbled, "ends early"),
        (oversized, "over the limit"),
        (shortened, "bytes of sums"),
        (out_of_range, "is above"),
        (resigned, "signed by somebody else|cannot be recovered"),
    ],
)
async def test_a_spoilt_reply_counts_as_none_and_says_why(mlp, spoil, reason):
    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    pair[0].replace(0, lambda member, key: lambda data: spoil(member.answer(data)))
    with pytest.raises(GroupSilent, match=reason) as caught:
        await answered(mlp, pair)
    assert caught.value.group == "first"


async def test_a_member_in_both_groups_is_refused(mlp):
    one = Group("first", mlp, 1).transport
    with pytest.raises(InvalidInput, match="would see the input"):
        await ask(mlp, random_inputs(mlp, 0), (one, one), SESSION)


async def test_a_member_named_twice_is_refused(mlp):
    class Doubled(MemoryGroup):
        """Somebody who wants to be a quorum of its own."""

        def __init__(self, group: MemoryGroup) -> None:
            super().__init__(group.name, group._answers)
            self.members = group.members * 3

    pair = Doubled(Group("first", mlp, 1).transport), Group("second", mlp, 2).transport
    with pytest.raises(InvalidInput, match="one voice"):
        await ask(mlp, random_inputs(mlp, 0), pair, SESSION)


async def test_an_empty_group_is_refused(mlp):
    pair = Group("first", mlp, 1).transport, MemoryGroup("second", {})
    with pytest.raises(InvalidInput, match="needs a member"):
        await ask(mlp, random_inputs(mlp, 0), pair, SESSION)


@pytest.mark.parametrize("inputs", [(), (b"\0",), (bytes(30), bytes(30)), (b"\x80" * 30,)])
async def test_an_input_of_another_type_is_refused(mlp, inputs):
    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    with pytest.raises(InvalidTensor):
        await ask(mlp, inputs, (pair[0].transport, pair[1].transport), SESSION)


async def test_the_first_group_can_be_done_before_the_input_is_known(mlp):
    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    blinding = await blind(mlp, pair[0].transport, SESSION)
    pair[0].answers.clear()
    inputs = random_inputs(mlp, 5)
    answer = await ask_blinded(mlp, inputs, blinding, pair[1].transport, SESSION)
    assert right(mlp, answer, 5)
    with pytest.raises(ReusedRandomness, match="make another"):
        await ask_blinded(mlp, inputs, blinding, pair[1].transport, SESSION)


async def test_a_wrong_input_does_not_use_a_blinding_up(mlp):
    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    blinding = await blind(mlp, pair[0].transport, SESSION)
    with pytest.raises(InvalidTensor):
        await ask_blinded(mlp, (b"",), blinding, pair[1].transport, SESSION)
    answer = await ask_blinded(mlp, random_inputs(mlp, 0), blinding, pair[1].transport, SESSION)
    assert right(mlp, answer)


async def test_who_blinded_a_query_may_not_answer_it(mlp):
    only = Group("first", mlp, 1).transport
    blinding = await blind(mlp, only, SESSION)
    with pytest.raises(InvalidInput, match="would see the input"):
        await ask_blinded(mlp, random_inputs(mlp, 0), blinding, only, SESSION)


async def test_a_bug_in_a_transport_is_not_taken_for_silence(mlp):
    def broken(member, key):
        def answer(data: bytes) -> bytes:
            raise RuntimeError("a bug")

        return answer

    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    pair[0].replace(0, broken)
    with pytest.raises(RuntimeError, match="a bug"):
        await answered(mlp, pair)
    assert not issubclass(RuntimeError, NesaError)


async def test_a_statement_about_another_share_is_none(mlp):
    """Wrong sums signed for a share that nobody sent would be evidence that convicts nobody."""
    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    pair[1].replace(0, off_by_one(mlp, about=b"\x07" * 32))
    with pytest.raises(GroupSilent, match="about another share") as caught:
        await answered(mlp, pair)
    assert caught.value.group == "second"


async def test_a_blinding_is_for_one_model(mlp, cnn):
    pair = Group("first", cnn, 1), Group("second", mlp, 2)
    blinding = await blind(cnn, pair[0].transport, SESSION)
    with pytest.raises(InvalidInput, match="made for another model"):
        await ask_blinded(mlp, random_inputs(mlp, 0), blinding, pair[1].transport, SESSION)


class StandIns(MemoryGroup):
    """A group with others who stand by, and who was settled with."""

    def __init__(self, name, answers, spares):
        super().__init__(name, {**answers, **spares})
        self.members, self.spares, self.at_once = tuple(answers), Spares(list(spares)), 1
        self.settled: list[Address] = []

    def settle(self, member):
        self.settled.append(member)

    def replace(self, failed):
        found = self.spares.stand_in(self.members, failed)
        self.members = found or self.members
        return found is not None


@pytest.mark.parametrize("place", [0, 1])
async def test_somebody_stands_in_for_a_member_that_lies(mlp, place):
    """The spare does the rest; the liar is named, its statement kept, and nobody pays it."""
    seen: list[bytes] = []
    pair = [Group("first", mlp, 1), Group("second", mlp, 2)]
    spare = Group("spares", mlp, 3)
    liar = pair[place].replace(0, off_by_one(mlp))
    groups = [
        StandIns(one.name, recording(one.answers, seen), recording(spare.answers, seen))
        if number == place
        else one.transport
        for number, one in enumerate(pair)
    ]
    answer = await ask(mlp, random_inputs(mlp, 0), (groups[0], groups[1]), SESSION)
    assert right(mlp, answer)
    assert "signed sums" in answer.refused[liar]
    (failure,) = answer.failures
    assert isinstance(failure, WrongShare)
    assert failure.members == (liar,)
    assert failure.is_discarded is (place == 0)  # a new seed stands in for it in the first group
    assert [one.signer for one in failure.statements] == [liar]
    assert set(groups[place].settled) == {spare.honest[0].address}
    assert len(groups[place].settled) == len(mlp.plan.products)
    asked = [decode_request(data) for data in seen]
    seeds = [one.seed for one in asked if one.seed is not None]
    assert len(seeds) == len(set(seeds))  # whoever stands in is not told what the liar knows
    assert [one.round for one in asked][:2] == [0, 1]


async def test_without_anybody_to_stand_in_the_failure_is_told(mlp):
    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    pair[1].replace(0, off_by_one(mlp))
    group = StandIns("second", pair[1].answers, {})
    with pytest.raises(WrongShare) as caught:
        await ask(mlp, random_inputs(mlp, 0), (pair[0].transport, group), SESSION)
    assert caught.value.members == group.members
    assert group.settled == []


async def test_what_was_found_before_a_later_failure_is_told_with_it(mlp):
    """A liar of the first group was replaced, then the second group fails."""
    pair, spare = (Group("first", mlp, 1), Group("second", mlp, 2)), Group("spares", mlp, 3)
    liars = [pair[place].replace(0, off_by_one(mlp)) for place in (0, 1)]
    first = StandIns("first", pair[0].answers, spare.answers)
    with pytest.raises(WrongShare) as caught:
        await ask(mlp, random_inputs(mlp, 0), (first, pair[1].transport), SESSION)
    found = caught.value.failures
    assert [one.members for one in found] == [(liar,) for liar in liars]
    assert [isinstance(one, WrongShare) and one.is_discarded for one in found] == [True, False]
