"""A client takes a member that signed wrong sums of a share to court, and sees the suit through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from eth_account import Account
from eth_keys.datatypes import PrivateKey

from nesa import Client
from nesa.chain.court import Court
from nesa.chain.disputes import Challenge, Ending, GameResult
from nesa.chain.events import GameEnded, Moved, SessionOpened, decode_event
from nesa.chain.history import read_events
from nesa.chain.sender import Sender, SendPolicy
from nesa.chain.sessions import SharedSessions
from nesa.client.modes import Shared
from nesa.client.shared_offers import offer_shares
from nesa.client.sharing import SharedPublicModel, order_of
from nesa.client.suing import Answered, Decided, Progress, Sued, Suing
from nesa.models.disputes.parties import Defender
from nesa.models.disputes.playing import defence, defenders_move
from nesa.models.judging import Witness
from nesa.privacy.shared.evidence import ShareEvidence
from nesa.privacy.shared.statements import Session, sign_sums
from nesa.protocol.consent import sign_consent
from nesa.protocol.errors import ExhaustedResource, InvalidInput
from nesa.protocol.ids import ONE_NES, Address, Amount, BlockNumber, Digest, QueryId, VersionId
from nesa.protocol.outcomes import suing_ends
from nesa.protocol.queries import Query
from nesa.protocol.sessions import FIRST_SESSION
from nesa.protocol.statements import Statement
from tests.models.disputes.parties import falsified
from tests.reports import signer_address

PUBLIC = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
PRODUCT = 1
KEY = PrivateKey(b"\x07" * 32)
QUICK = SendPolicy(poll=0.01)


@pytest.fixture(scope="module")
def shared() -> SharedPublicModel:
    return SharedPublicModel.read(PUBLIC)


@dataclass
class Member:
    """An operator that signs what a test says; anybody with stake answers for what it signs."""

    client: Client
    sender: Sender
    signer: PrivateKey
    owner: Address

    @classmethod
    async def register(cls, client: Client) -> Member:
        owner, signer = Account.create(), PrivateKey(bytes(Account.create().key))
        for account in (owner.address, signer_address(signer)):
            await client.connection.request("anvil_setBalance", account, hex(10**21))
        stake = Amount(5_000 * ONE_NES)
        await client.transfer(Address(owner.address), stake)
        vault, sender = client.contracts.vault, Sender(client.connection, owner, QUICK)
        chain_id = client.connection.deployment.chain_id
        consent = sign_consent(signer, chain_id, vault.address, Address(owner.address))
        given = (signer_address(signer), consent, bytes(31) + b"\x09", "http://127.0.0.1:1/sued")
        await sender.send(vault.register_operator(*given))
        await sender.send(client.contracts.token.approve(vault.address, stake))
        await sender.send(vault.deposit(stake))
        own = Sender(client.connection, Account.from_key(signer.to_bytes()), QUICK)
        return cls(client, own, signer, Address(owner.address))

    async def defend(self, challenge: Challenge, defender: Defender) -> None:
        move = defence(defender, challenge.charge)
        await self.sender.send(
            Court.of(self.client.connection).defend(challenge, self.sender.address, move)
        )

    async def play(self, challenge: Challenge, defender: Defender) -> GameResult:
        """Answer whatever is asked until the game is over."""
        court, connection = Court.of(self.client.connection), self.client.connection
        topics = [None, f"0x{challenge.challenge_id:064x}"]
        while True:
            events = await read_events(connection, court.address, topics, BlockNumber(0))
            ended = [event for event in events if isinstance(event, GameEnded)]
            if ended:
                return ended[0].result
            moves = [event.move for event in events if isinstance(event, Moved)]
            play = defenders_move(defender, challenge.charge, moves)
            if play is not None:
                call = court.play(challenge, self.sender.address, play.position, play.move)
                await self.sender.send(call)
            await asyncio.sleep(0.01)

    async def stake(self) -> int:
        return (await self.client.contracts.vault.ledger(self.owner, "latest")).stake


@dataclass
class Case:
    """A session, a member, and the sums of one share: true ones, and those of a liar."""

    client: Client
    member: Member
    terms: Query
    session: Session
    shared: SharedPublicModel
    versions: tuple[VersionId, ...]

    def __post_init__(self) -> None:
        edge = self.shared.model.plan.products[PRODUCT].input_edge
        drawn = np.random.default_rng(5).integers(0, edge.high + 1, edge.shape)
        self.digits = edge.encode(drawn)
        table = self.shared.model.plan.products[PRODUCT].table
        self.truth = Witness.of_shard(table, 0, (self.digits,))
        first = int(self.truth.values[table.outputs[0]].reshape(-1)[0])
        self.lie = falsified(self.truth, 0, 0, first + 1, hide=False)

    def statement(self, sums: Witness, number: int = PRODUCT) -> Statement:
        said = Defender(sums, 0).charge
        digests = (Digest(said.in_digest), Digest(said.out_digest))
        return sign_sums(self.member.signer, self.session.product(number), 0, *digests)

    def evidence(self, sums: Witness) -> ShareEvidence:
        return ShareEvidence(self.versions[PRODUCT], self.statement(sums), self.digits)


@pytest.fixture
async def case(client: Client, shared: SharedPublicModel) -> AsyncIterator[Case]:
    """Time and money that it takes are put back behind it."""
    before = await client.connection.request("evm_snapshot")
    yield await opened_case(client, shared)
    await client.connection.request("evm_revert", before)


async def opened_case(client: Client, shared: SharedPublicModel) -> Case:
    connection, sessions = client.connection, SharedSessions.of(client.connection)
    offer = await offer_shares(client._catalogue, shared.public.name, Shared(shared), None)
    order = replace(order_of(offer.listed, KEY, 1, 4), max_deposit=offer.offered.price)
    await client._send(client.contracts.token.approve(sessions.address, offer.offered.price))
    receipt = await client._send(sessions.open_session(order))
    events = [decode_event(log) for log in receipt.logs]
    (opened,) = (event for event in events if isinstance(event, SessionOpened))
    member = await Member.register(client)  # blocks, behind which the seed is there
    seed = (await connection.block(opened.query.seed_block)).hash
    session = Session(connection.deployment.chain_id, sessions.address, opened.session_id, seed)
    versions = offer.listed.version_ids
    return Case(client, member, opened.query, session, shared, versions)


async def pass_time(client: Client, seconds: int) -> None:
    await client.connection.request("evm_increaseTime", seconds)
    await client.connection.request("evm_mine")


async def test_a_liar_that_does_not_answer_loses_a_seats_stake(case: Case) -> None:
    client, member = case.client, case.member
    checked = await client.check_suit(case.evidence(case.lie), case.shared)
    before, held = await member.stake(), (await client.balance()).nes
    seen = list[Progress]()

    async def note(progress: Progress) -> None:
        seen.append(progress)
        if isinstance(progress, Sued):
            await pass_time(client, case.terms.rules.defence_window + 1)

    decided = await client.sue(checked, note, reveal_share=True)
    assert [type(one) for one in seen] == [Sued, Decided]
    assert decided.ending is Ending.FALLEN
    assert await member.stake() == before - checked.stake
    assert decided.paid > checked.bond
    assert (await client.balance()).nes == held - checked.bond + decided.paid
    again = await client.check_suit(case.evidence(case.lie), case.shared)
    assert (await client.sue(again)).paid == 0
    with pytest.raises(InvalidInput, match="lost its seat's stake"):
        await of_another(client).check(case.evidence(case.lie), case.shared)


def of_another(client: Client) -> Suing:
    """Suits of somebody who has opened none, and holds nothing."""
    stranger = Address(Account.create().address)
    return Suing(client.connection, stranger, client._send)


async def test_a_liar_that_answers_is_played_to_the_wrong_element(case: Case) -> None:
    """The client's side was interrupted behind the member's first move, and goes on without being
    told again what it shows."""
    client, member = case.client, case.member
    checked = await client.check_suit(case.evidence(case.lie), case.shared)
    before, liar = await member.stake(), Defender(case.lie, 0)

    async def answer_once(progress: Progress) -> None:
        assert isinstance(progress, Sued)
        await member.defend(progress.challenge, liar)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await client.sue(checked, answer_once, reveal_share=True)
    resumed = await client.check_suit(case.evidence(case.lie), case.shared)
    assert resumed.challenge is not None
    moves = list[int]()

    async def note(progress: Progress) -> None:
        if isinstance(progress, Answered):
            moves.append(progress.moves)

    suit = asyncio.create_task(client.sue(resumed, note))
    assert await member.play(resumed.challenge, liar) is GameResult.LOST_BY_FACT
    await pass_time(client, case.terms.rules.defence_window + 1)
    assert (await suit).ending is Ending.FALLEN
    assert await member.stake() == before - checked.stake
    assert moves == sorted(moves)


async def test_what_convicts_nobody_is_not_paid_for(case: Case) -> None:
    client, shared, lie = case.client, case.shared, case.evidence(case.lie)

    async def refused(evidence: ShareEvidence, match: str) -> None:
        with pytest.raises(InvalidInput, match=match):
            await client.check_suit(evidence, shared)

    await refused(case.evidence(case.truth), "sums that were signed are right")
    edge = shared.model.plan.products[PRODUCT].input_edge
    other = edge.encode(np.zeros(edge.shape, np.int64))
    await refused(replace(lie, digits=other), "about another share")
    await refused(replace(lie, digits=b"1"), "no share of the product")
    await refused(replace(lie, version_id=case.versions[0]), "no product 1 with the version")
    await refused(replace(lie, statement=case.statement(case.lie, 7)), "no product 7")
    for place, match in (
        (replace(case.session, chain_id=1), "of chain 1 "),
        (replace(case.session, contract=member_of(case)), "give the network"),
        (replace(case.session, session_id=QueryId(FIRST_SESSION + 999)), "no session"),
        (replace(case.session, seed=Digest(b"\x01" * 32)), "another history"),
    ):
        await refused(replace(case, session=place).evidence(case.lie), match)
    with pytest.raises(InvalidInput, match="give the folder"):
        await client.check_suit(lie, SharedPublicModel.read(PUBLIC.parent / "digits-cnn"))


def member_of(case: Case) -> Address:
    return case.member.owner


async def test_a_bond_that_is_not_there_is_said_before_anything_is_sent(case: Case) -> None:
    poor = of_another(case.client)
    checked = await poor.check(case.evidence(case.lie), case.shared)
    head = (await case.client.connection.head()).number
    with pytest.raises(ExhaustedResource, match="the bond is"):
        await poor.see_through(checked, reveal_share=True)
    assert (await case.client.connection.head()).number == head


async def test_a_share_that_was_used_is_not_shown_unasked(case: Case) -> None:
    """One that was discarded is: the first thing that stands in its way is the bond."""
    poor, evidence = of_another(case.client), case.evidence(case.lie)
    head = (await case.client.connection.head()).number
    checked = await poor.check(evidence, case.shared)
    assert checked.reveals
    with pytest.raises(InvalidInput, match="other group has the input.*--reveal-share"):
        await poor.see_through(checked)
    discarded = await poor.check(replace(evidence, is_discarded=True), case.shared)
    assert not discarded.reveals
    with pytest.raises(ExhaustedResource, match="the bond is"):
        await poor.see_through(discarded)
    assert (await case.client.connection.head()).number == head


async def test_nobody_is_sued_behind_the_time_to_sue(case: Case) -> None:
    client, evidence = case.client, case.evidence(case.lie)
    head = (await client.connection.head()).timestamp
    await pass_time(client, suing_ends(case.terms) - head + 1)
    with pytest.raises(InvalidInput, match="time to sue .* is over"):
        await client.check_suit(evidence, case.shared)
