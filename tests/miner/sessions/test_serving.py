"""A member over HTTP: sealed, paid as it goes, and never of two minds, whoever asks."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_keys.datatypes import PrivateKey

from nesa.client.shared_groups import Purse
from nesa.models.folder import load
from nesa.models.runtime import ShardRunner, run_all
from nesa.privacy.envelopes import Receiver, seal_envelope
from nesa.privacy.keys import generate_key, public_bytes
from nesa.privacy.shared.members import Work
from nesa.privacy.shared.session import SharedModel, ask
from nesa.privacy.shared.wire import ShareRequest, decode_reply, encode_request
from nesa.protocol.envelopes import MAX_ENVELOPE_BYTES, SESSIONS_PATH
from nesa.protocol.errors import (
    ExhaustedResource,
    IntegrityError,
    InvalidMessage,
    NotEntitled,
    ReusedRandomness,
)
from nesa.protocol.ids import Amount, BlockNumber, Digest, QueryId, Timestamp
from nesa.protocol.messages import SessionRequest
from nesa_miner.sessions.products import LoadedProducts
from nesa_miner.sessions.serving import MOST_AGAIN
from nesa_miner.sessions.terms import HeldVoucher
from tests.privacy.shared.parties import held_products, random_inputs

from .attended import FAR, MARKET, OPERATORS, PAYER, PRICE, SESSION, TERMS, Member, World, serving

MODELS = Path(__file__).resolve().parents[3] / "models"
SEED = b"\x07" * 32
WORK = Work(Digest(b"\3" * 32), Digest(b"\4" * 32), b"")


@pytest.fixture(scope="module")
def mlp() -> SharedModel:
    """The breast cancer classifier, of three products."""
    return SharedModel(load(MODELS / "breast-cancer-mlp").table)


@pytest.fixture
async def world(mlp: SharedModel, tmp_path: Path) -> AsyncIterator[World]:
    """Two members, and a third that stands by."""
    now = [time.time()]
    async with serving([Member(tmp_path, mlp, place, now) for place in range(3)]) as found:
        yield found


def request(
    number: int = 0, round_: int = 0, *, seed: bytes | None = None, digits: bytes | None = None
) -> bytes:
    """What is asked of a member."""
    if seed is None and digits is None:
        seed = secrets.token_bytes(32)
    return encode_request(ShareRequest(number, round_, seed, digits))


def sealed(member: Member, body: bytes, key: PrivateKey = PAYER, **other: Any) -> bytes:
    """A request in an envelope, unpaid unless something else is said."""
    values: dict[str, Any] = {"session_id": SESSION.session_id, "amount": Amount(0)}
    values["r"] = bytes(32)
    values |= {"vs": bytes(32), "reply_key": public_bytes(generate_key()), "body": body, **other}
    receiver = Receiver(member.identity.address, member.identity.encryption.public_key())
    return seal_envelope(
        SessionRequest(**values),
        deployment=MARKET,
        signer=key,
        receiver=receiver,
        nonce=secrets.token_bytes(16),
        deadline=Timestamp(int(time.time()) + 60),
    )


async def test_two_members_answer_a_query_and_hold_what_they_earned(world, mlp):
    inputs = random_inputs(mlp, 0)
    answer = await ask(mlp, inputs, world.groups(), SESSION)
    assert await world.reached.pay(60.0) == ()
    public = load(MODELS / "breast-cancer-mlp")
    whole = [ShardRunner(public.shard_file(one), facts) for one, facts in enumerate(public.shards)]
    assert answer.outputs == run_all(whole, inputs)
    for member in world.members[:2]:
        held = member.journal.sessions.voucher(SESSION)
        assert held.amount == 3 * PRICE
        assert member.journal.sessions.served(SESSION) == 3
    assert world.members[2].journal.sessions.served(SESSION) == 0


@pytest.mark.parametrize("key", [PAYER, PrivateKey(SEED)])
async def test_what_a_former_format_stored_is_its_payers_only(world, key):
    """It has no seed by which two clients' sessions of one number could be told apart."""
    ledger, purse = world.members[0].journal.sessions, Purse(key, SESSION, PRICE, PRICE)
    purse.settle(OPERATORS[0])
    former = replace(SESSION, seed=Digest(b""))
    ledger.open(former, FAR)
    ledger.keep_voucher(former, HeldVoucher(*purse.voucher(OPERATORS[0])))
    ledger.state(former, ShareRequest(0, 0, SEED, None), WORK)
    await world.reached.ask(world.members[0].identity.address, request(1))
    if key == PAYER:
        assert (ledger.voucher(SESSION).amount, ledger.served(SESSION)) == (PRICE, 2)
    else:
        assert (ledger.voucher(SESSION).amount, ledger.served(SESSION)) == (0, 1)
        assert [account.seed for account in ledger.unredeemed()] == [b""]


async def test_who_does_not_pay_is_not_served_a_second_time(world):
    member = world.members[0].identity.address
    await world.reached.ask(member, request(0))
    with pytest.raises(NotEntitled, match="1 products are worth a voucher of 100 units"):
        await world.reached.ask(member, request(1))
    world.purse.settle(OPERATORS[0])
    await world.reached.ask(member, request(1))


async def test_a_client_that_waits_until_the_seed_is_gone_is_not_served(world):
    """Its vouchers would be worth nothing: the contract could not draw the session any more."""
    member, late = world.members[0], BlockNumber(TERMS.seed_block + 193)
    member.seed = (False, late)
    world.purse.settle(OPERATORS[0])
    with pytest.raises(NotEntitled, match="no voucher counts"):
        await world.reached.ask(member.identity.address, request(0))
    assert member.journal.sessions.voucher(SESSION).amount == 0
    member.seed = (True, late)
    await world.reached.ask(member.identity.address, request(0))
    member.seed = (False, late)
    await world.reached.ask(member.identity.address, request(1))


@pytest.fixture
def going(monkeypatch):
    """No product is there before this is set."""
    may, plain = asyncio.Event(), LoadedProducts.runner

    async def slow(*given):
        await may.wait()
        return await plain(*given)

    monkeypatch.setattr(LoadedProducts, "runner", slow)
    return may


async def test_one_session_takes_no_places_of_the_others(world, going):
    """One of its requests is worked on and one waits; the third is refused at once."""
    service = world.members[0].service
    body = request(0, seed=SEED)
    waiting = [
        asyncio.create_task(service.answer(sealed(world.members[0], body))) for _ in range(2)
    ]
    await asyncio.sleep(0.05)
    with pytest.raises(ExhaustedResource, match="at once"):
        await service.answer(sealed(world.members[0], body))
    other = QueryId(SESSION.session_id + 5)
    with pytest.raises(NotEntitled, match="there is no session"):
        await service.answer(sealed(world.members[0], body, session_id=other))
    going.set()
    assert all(await asyncio.gather(*waiting))


async def test_a_computation_that_nobody_waits_for_keeps_its_place_and_is_stated(world, going):
    """A thread goes on when its request is given up: another one beside it would slow both."""
    member = world.members[0]
    body = request(0, seed=SEED)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await member.service.answer(sealed(member, body))
    with pytest.raises(ExhaustedResource, match="at once"):
        await member.service.answer(sealed(member, body))
    going.set()
    async with asyncio.timeout(60):
        while not member.journal.sessions.served(SESSION):
            await asyncio.sleep(0.01)
    assert member.journal.sessions.served(SESSION) == 1


async def test_a_repetition_that_is_put_off_is_not_counted(world, monkeypatch):
    service, body = world.members[0].service, request(0, seed=SEED)
    assert await service.answer(sealed(world.members[0], body))
    monkeypatch.setattr("nesa_miner.sessions.serving.MOST_AT_ONCE", 0)
    for _ in range(MOST_AGAIN):
        with pytest.raises(ExhaustedResource, match="computed at once"):
            await service.answer(sealed(world.members[0], body))
    monkeypatch.undo()
    assert await service.answer(sealed(world.members[0], body))


async def test_outsiders_take_no_places(world, monkeypatch):
    """A session's number is no secret; who asks in its name is read from the chain, which takes a
    while."""
    monkeypatch.setattr("nesa_miner.sessions.serving.MOST_OPEN", 2)
    service, going = world.members[0].service, asyncio.Event()
    plain, outsider = service.attendance, PrivateKey(b"\x09" * 32)

    async def slow(session_id, sender):
        if sender == outsider.public_key.to_checksum_address():
            await going.wait()
        return await plain(session_id, sender)

    service.attendance, body = slow, request(0, seed=SEED)
    waiting = [
        asyncio.create_task(service.answer(sealed(world.members[0], body, outsider)))
        for _ in range(2)
    ]
    await asyncio.sleep(0.05)
    assert await service.answer(sealed(world.members[0], body))
    going.set()
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, NotEntitled) for error in refused)


async def test_what_a_former_format_stored_counts_for_the_session(world):
    """Its seed was not stored; a member that forgot what it said would contradict itself."""
    ledger, former = world.members[0].journal.sessions, replace(SESSION, seed=Digest(b""))
    ledger.open(former, Timestamp(4_000_000_000))
    ledger.state(
        former, ShareRequest(0, 0, SEED, None), Work(Digest(bytes(32)), Digest(bytes(32)), b"")
    )
    with pytest.raises(InvalidMessage, match="count the round up"):
        await world.members[0].service.answer(sealed(world.members[0], request(0)))


async def test_a_statement_is_not_computed_again_without_end(world):
    """It is not paid for, and costs as much as the first time."""
    service, body = world.members[0].service, request(0, seed=SEED)
    for _ in range(1 + MOST_AGAIN):
        assert await service.answer(sealed(world.members[0], body))
    with pytest.raises(NotEntitled, match="was answered 9 times"):
        await service.answer(sealed(world.members[0], body))


async def test_a_repeated_request_costs_nothing_and_gives_the_same(world):
    member, body = world.members[0].identity.address, request(0, seed=SEED)
    first = await world.reached.ask(member, body)
    world.members[0].restart()
    assert await world.reached.ask(member, body) == first
    assert world.members[0].journal.sessions.served(SESSION) == 1


async def test_a_member_signs_one_share_a_round_also_after_a_restart(world):
    member = world.members[0].identity.address
    first = decode_reply(await world.reached.ask(member, request(0)))
    world.members[0].restart()
    with pytest.raises(InvalidMessage, match="count the round up"):
        await world.reached.ask(member, request(0))
    world.purse.settle(OPERATORS[0])
    again = decode_reply(await world.reached.ask(member, request(0, 1)))
    assert again.in_digest != first.in_digest


async def test_another_share_of_a_round_that_was_served_is_not_even_computed(world, mlp):
    """Nobody pays for a round twice, so it would be computed for nothing, again and again."""
    member = world.members[0]
    await world.reached.ask(member.identity.address, request(0))
    runners = member.service.products.library.runners
    runners[next(iter(runners))] = _Unasked(held_products(mlp)[0].facts)
    with pytest.raises(InvalidMessage, match="count the round up"):
        await member.answer(sealed(member, request(0)))


class _Unasked:
    def __init__(self, facts):
        self.facts = facts

    def run(self, _):
        raise AssertionError("computed for nothing")


async def test_a_seed_serves_one_share_of_all_sessions_also_after_a_restart(world):
    member = world.members[0]
    await world.reached.ask(member.identity.address, request(0, seed=SEED))
    member.restart()
    other = QueryId(SESSION.session_id + 1)
    with pytest.raises(ReusedRandomness, match="draw another"):
        await member.answer(sealed(member, request(0, seed=SEED), session_id=other))
    world.purse.settle(OPERATORS[0])
    with pytest.raises(InvalidMessage, match="draw another"):
        await world.reached.ask(member.identity.address, request(1, seed=SEED))


async def test_a_machine_that_computes_otherwise_than_before_signs_nothing(world, mlp):
    """A member whose runtime changed would convict itself."""
    member = world.members[0]
    body = request(0, seed=SEED)
    await world.reached.ask(member.identity.address, body)
    held = held_products(mlp)
    first = world.members[0].service.products.library.runners
    name = next(iter(first))
    first[name] = _OffByOne(held[0])
    with pytest.raises(IntegrityError, match="other sums of this share before"):
        await member.answer(sealed(member, body))


class _OffByOne:
    def __init__(self, honest):
        self.honest, self.facts = honest, honest.facts

    def run(self, tensors):
        (sums,) = self.honest.run(tensors)
        values = self.facts.output_edges[0].decode(sums).copy()
        values.reshape(-1)[0] ^= 1
        return (self.facts.output_edges[0].encode(values),)


async def test_a_voucher_is_kept_before_anything_is_answered(world):
    member = world.members[0]
    await world.reached.ask(member.identity.address, request(0))
    world.purse.settle(OPERATORS[0])
    with pytest.raises(InvalidMessage, match="no share of this product"):
        await world.reached.ask(member.identity.address, request(1, digits=b"\0"))
    member.restart()
    assert member.journal.sessions.voucher(SESSION).amount == PRICE
    (account,) = member.journal.sessions.unredeemed()
    assert (account.session_id, account.redeemed) == (SESSION.session_id, 0)


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"key": PrivateKey(b"\x06" * 32)}, NotEntitled, "only the payer"),
        ({"session_id": QueryId(5)}, NotEntitled, "no session 5"),
        ({"body": b"\xff"}, InvalidMessage, "lengths must be definite"),
        ({"body": request(9)}, InvalidMessage, "has 3 products"),
        ({"body": request(0, digits=b"\0")}, InvalidMessage, "no share of this product"),
        ({"amount": Amount(301)}, InvalidMessage, "worth 300 units"),
        ({"amount": PRICE}, InvalidMessage, "payer's|recovered"),
    ],
)
async def test_what_does_not_check_out_is_refused_by_name(world, change, error, reason):
    member = world.members[0]
    values = {"body": request(0)} | change
    with pytest.raises(error, match=reason):
        await member.answer(sealed(member, **values))
    assert member.journal.sessions.served(SESSION) == 0


async def test_a_session_that_is_over_is_served_no_more(world):
    member = world.members[0]
    kept = member.service.attendance

    async def over(session_id: QueryId, sender: Any) -> Any:
        found = await kept(session_id, sender)
        return replace(found, terms=replace(TERMS, answer_deadline=Timestamp(1)))

    member.service.attendance = over
    with pytest.raises(InvalidMessage, match="is over"):
        await member.answer(sealed(member, request(0)))


async def test_an_envelope_is_taken_once(world):
    member = world.members[0]
    envelope = sealed(member, request(0))
    await member.answer(envelope)
    with pytest.raises(InvalidMessage, match="received before"):
        await member.answer(envelope)


async def test_bodies_are_bounded_and_refusals_have_their_status(world):
    url = world.reached.seats[world.members[0].identity.address].endpoint + SESSIONS_PATH
    for body, status in (
        (bytes(MAX_ENVELOPE_BYTES + 1), 413),
        (b"garbage", 400),
        (sealed(world.members[0], request(0), key=PrivateKey(b"\x06" * 32)), 403),
    ):
        async with world.reached.http.post(url, data=body) as response:
            assert response.status == status

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_ENVELOPE_BYTES // 65_536 + 2):
            yield bytes(65_536)

    async with world.reached.http.post(url, data=endless()) as response:
        assert response.status == 413


async def test_nobody_reads_a_share_on_the_wire(world, mlp):
    """Digits and sums travel sealed in both directions."""
    digits = bytes(range(1, 91))
    assert len(digits) == mlp.plan.products[0].input_edge.nbytes
    member = world.members[0]
    envelope = sealed(member, request(0, digits=digits))
    assert digits[:8] not in envelope
    answered = await member.answer(envelope)
    body = request(0, digits=digits)
    sums = decode_reply(await world.reached.ask(member.identity.address, body)).sums
    assert sums[:8] not in answered
