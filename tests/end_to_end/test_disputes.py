"""A lie of a whole quorum costs it its stake, a sham challenge its bond; whoever is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from eth_keys.datatypes import PrivateKey

from nesa import Client, Held, Model, Overturned, QueryStatus, Released
from nesa.chain.contracts import Contracts
from nesa.chain.court import Court
from nesa.chain.disputes import Challenge, Ending, GameResult
from nesa.chain.events import (
    ChainEvent,
    ChallengeEnded,
    ChallengeOpened,
    GameEnded,
    Moved,
    SignerConvicted,
    decode_event,
)
from nesa.chain.history import find_query
from nesa.chain.keystore import load_keystore
from nesa.chain.logs import LogWindow
from nesa.chain.reports import reported_evidence
from nesa.chain.sender import Sender
from nesa.cli.demo.cast import Question
from nesa.cli.demo.liar import replace_by_liar
from nesa.cli.main import main
from nesa.client.answers import SubmittedQuery
from nesa.client.watching import Stage
from nesa.devnet.foundation import hand_out
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator, wait_until_ready
from nesa.privacy.grants import decode_grant
from nesa.protocol.commitments import ShardContext, attestation_hash, commitment
from nesa.protocol.evidence import ShardEvidence, encode_evidence
from nesa.protocol.faults import statements_in
from nesa.protocol.ids import ONE_NES, Address, Amount, Digest, QueryId
from nesa.protocol.queries import SignedResult
from nesa.protocol.signatures import sign_digest
from nesa.protocol.slashing import credited
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.watchtower.accusing import Accuser, Means
from nesa_miner.watchtower.config import read_settings, write_settings
from nesa_miner.watchtower.statements import drawn_for
from tests.end_to_end.processes import Observer
from tests.end_to_end.test_queries import is_right

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("everybody_honest"),
]

BONDS = Amount(1_000 * ONE_NES)


@dataclass(frozen=True)
class Dispute:
    """What the chain says of the challenges of one query."""

    client: Client
    query_id: QueryId

    @property
    def contracts(self) -> Contracts:
        return Contracts(self.client.connection)

    async def events(self) -> list[ChainEvent]:
        connection = self.client.connection
        head = (await connection.head()).number
        wanted = {"address": connection.deployment.court}
        window = LogWindow(connection, 10_000)
        logs = await window.read_all(wanted, connection.deployment.block, head)
        events = [event for event in map(decode_event, logs) if event is not None]
        opened = [e for e in events if isinstance(e, ChallengeOpened)]
        mine = {e.challenge_id for e in opened if e.query_id == self.query_id}
        return [e for e in events if getattr(e, "challenge_id", None) in mine]

    async def challenges(self) -> list[Challenge]:
        return [e.challenge for e in await self.events() if isinstance(e, ChallengeOpened)]

    async def challenge(self) -> Challenge:
        (opened,) = await self.challenges()
        return opened

    async def count(self, kind: type[ChainEvent]) -> int:
        return sum(isinstance(event, kind) for event in await self.events())

    async def challengers_moves(self) -> int:
        """Moves alternate in each game, and the defender begins."""
        moves = Counter(e.defender for e in await self.events() if isinstance(e, Moved))
        return sum(count // 2 for count in moves.values())

    async def results(self) -> list[GameResult]:
        return [e.result for e in await self.events() if isinstance(e, GameEnded)]

    async def ending(self) -> Ending | None:
        ended = [e.ending for e in await self.events() if isinstance(e, ChallengeEnded)]
        return ended[0] if ended else None

    async def status(self) -> QueryStatus:
        return await self.contracts.market.status_of(self.query_id, "latest")

    async def stake(self, operator: Operator) -> int:
        return (await self.contracts.vault.ledger(operator.owner, "latest")).stake

    async def balance(self, account: Address) -> int:
        return await self.contracts.token.balance_of(account, "latest")

    async def pass_time(self, seconds: int) -> None:
        await self.client.connection.request("evm_increaseTime", hex(seconds))
        await self.client.connection.request("evm_mine")


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 240.0) -> None:
    limit = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < limit, "it did not happen in time"
        await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def watching(
    devnet: Devnet, client: Client, *words: str, nes: int = BONDS, evicts: bool = False
) -> AsyncIterator[Operator]:
    """A watchtower that looks at every answer, made with these words of `init`.

    The tests here share their seats, also those that have no stake any more.
    """
    name = f"watchtower-{time.monotonic_ns()}"
    founded = await devnet.founder.found_watchtower(name, *words)
    kept = read_settings(founded.folder).model_copy(update={"evict": evicts})
    write_settings(founded.folder, kept)
    await devnet.foundation.chain.give_coins(founded.owner)
    deployer = devnet.foundation.people.deployer
    if nes:
        await hand_out(client.connection, deployer, [(founded.owner, Amount(nes))])
    await devnet.founder.start(founded)
    await wait_until_ready([founded], devnet.supervisor)
    yield founded
    await devnet.supervisor.stop(name)


@pytest_asyncio.fixture(loop_scope="session")
async def tower(devnet: Devnet, client: Client) -> AsyncIterator[Operator]:
    async with watching(devnet, client) as founded:
        yield founded


@pytest_asyncio.fixture(loop_scope="session")
async def second_tower(devnet: Devnet, client: Client) -> AsyncIterator[Operator]:
    async with watching(devnet, client) as founded:
        yield founded


async def lied_to(
    client: Client,
    devnet: Devnet,
    model: Model,
    question: Question,
    shard: int,
    *,
    defends: bool,
) -> tuple[SubmittedQuery, list[Operator]]:
    """A query one of whose shards a quorum of liars answered; the fourth member is honest."""
    liars = await lying_quorum(devnet, shard, defends=defends)
    submitted = await client.submit(model, question.features)
    answer = await client.result(submitted)
    paid = {member.signer for member in answer.committee if member.paid and member.shard == shard}
    assert paid == {liar.signer for liar in liars}
    return submitted, liars


async def lying_quorum(devnet: Devnet, shard: int, *, defends: bool) -> list[Operator]:
    members = devnet.miners[shard::2]
    return [await replace_by_liar(devnet, one.name, defends=defends) for one in members[:3]]


async def test_a_silent_lying_quorum_is_caught_by_one_watchtower_that_dies_meanwhile(
    client: Client,
    devnet: Devnet,
    observer: Observer,
    model: Model,
    question: Question,
    tower: Operator,
) -> None:
    before = {o.name: await Dispute(client, QueryId(0)).stake(o) for o in devnet.miners}
    submitted, liars = await lied_to(client, devnet, model, question, 0, defends=False)
    dispute = Dispute(client, submitted.query_id)
    await until(lambda: _reached(dispute, ChallengeOpened, 1))
    await observer.kill(tower)
    assert (await client.result(submitted)).challenged_shards == (0,)
    challenge = await dispute.challenge()
    assert set(challenge.signers) == {liar.signer for liar in liars}
    assert challenge.charge.shard == 0
    await devnet.founder.start(tower)
    await dispute.pass_time(61)
    await until(lambda: _ended(dispute, Ending.FALLEN))
    assert await dispute.status() is QueryStatus.OVERTURNED
    told = await told_until(client, submitted, Overturned)
    assert told[-2] == Held((0,), challenge.defence_ends)
    after = {o.name: await dispute.stake(o) for o in devnet.miners}
    lost = {name: before[name] - after[name] for name in before if before[name] != after[name]}
    assert lost == {liar.name: challenge.seat_stake for liar in liars}
    reward = 3 * credited(challenge.seat_stake)

    async def is_paid() -> bool:
        return await dispute.balance(tower.owner) > BONDS + reward // 2

    await until(is_paid)


async def test_liars_that_defend_are_convicted_by_elements_whoever_dies(
    client: Client,
    devnet: Devnet,
    observer: Observer,
    model: Model,
    question: Question,
    tower: Operator,
) -> None:
    submitted, liars = await lied_to(client, devnet, model, question, 1, defends=True)
    dispute = Dispute(client, submitted.query_id)
    await until(lambda: _reached(dispute, Moved, 5))
    await observer.kill(tower)
    await observer.kill(liars[0])
    await devnet.founder.start(tower)
    await replace_by_liar(devnet, liars[0].name, defends=True)
    await until(lambda: _reached(dispute, SignerConvicted, 3))
    assert set(await dispute.results()) == {GameResult.LOST_BY_FACT}
    await dispute.pass_time(61)
    await until(lambda: _ended(dispute, Ending.FALLEN))
    assert await dispute.status() is QueryStatus.OVERTURNED


async def test_a_sealed_lie_is_convicted_by_a_watchtower_that_the_client_lets_see(
    client: Client,
    devnet: Devnet,
    model: Model,
    question: Question,
    tower: Operator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The client names its watcher when it asks, and its CHALLENGED answer is never delivered.

    Until the watchtower has the grant it says why it cannot look.
    """
    monkeypatch.chdir(tmp_path)
    await lying_quorum(devnet, 1, defends=True)
    holder = json.loads((tower.folder / "keys" / "view.json").read_text())["public_key"]
    row = ",".join(map(str, question.features))
    words = ["query", model.name, row, "--sealed", "--watcher", f"0x{holder.removeprefix('0x')}"]
    network = ["--network", str(devnet.layout.network), "--assurance", "CHALLENGED", "--json"]
    asking = asyncio.create_task(asyncio.to_thread(main, [*words, *network]))
    await until(partial(_says, devnet, tower, "nobody granted the view"))
    (granted,) = tmp_path.glob("nesa-grant-*.json")
    dispute = Dispute(client, decode_grant(granted.read_bytes()).granted.query_id)
    assert await dispute.status() is QueryStatus.FULFILLED
    assert await dispute.count(ChallengeOpened) == 0
    granted.rename(tower.folder / "grants" / granted.name)
    await until(lambda: _reached(dispute, SignerConvicted, 3))
    await dispute.pass_time(61)
    await until(lambda: _ended(dispute, Ending.FALLEN))
    assert await dispute.status() is QueryStatus.OVERTURNED
    assert await asyncio.wait_for(asking, 240) == 0
    assert json.loads(capsys.readouterr().out)["answer"]["status"] == "OVERTURNED"


@pytest.mark.deep
async def test_an_answer_to_an_input_out_of_range_is_convicted(
    client: Client,
    devnet: Devnet,
    model: Model,
    question: Question,
    tower: Operator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing checks what a client writes into its request but who computes it."""
    assert model.card.input_edge.low == -127
    data = b"\x80" + model.encode_features(question.features)[1:]
    monkeypatch.setattr("nesa.client.parts.submitting.encoded_features", lambda *_: data)
    submitted, _ = await lied_to(client, devnet, model, question, 0, defends=True)
    dispute = Dispute(client, submitted.query_id)
    await until(lambda: _reached(dispute, SignerConvicted, 3))
    assert set(await dispute.results()) == {GameResult.LOST_BY_FACT}
    await dispute.pass_time(61)
    await until(lambda: _ended(dispute, Ending.FALLEN))
    assert await dispute.status() is QueryStatus.OVERTURNED


@pytest.mark.deep
async def test_a_watchtower_killed_after_every_move_of_its_own_convicts_all_the_same(
    client: Client,
    devnet: Devnet,
    observer: Observer,
    model: Model,
    question: Question,
    tower: Operator,
) -> None:
    submitted, _ = await lied_to(client, devnet, model, question, 0, defends=True)
    dispute, kills = Dispute(client, submitted.query_id), 0
    async with asyncio.timeout(300):
        while await dispute.count(SignerConvicted) < 3:
            if await dispute.challengers_moves() > kills:
                await observer.kill(tower)
                kills = await dispute.challengers_moves()
                await devnet.founder.start(tower)
            await asyncio.sleep(0.2)
    assert kills >= 3
    assert set(await dispute.results()) == {GameResult.LOST_BY_FACT}


@pytest.mark.deep
async def test_moves_that_reorganisations_take_back_are_made_again(
    client: Client, devnet: Devnet, model: Model, question: Question, tower: Operator
) -> None:
    submitted, _ = await lied_to(client, devnet, model, question, 0, defends=True)
    dispute = Dispute(client, submitted.query_id)
    for depth in range(1, 6):
        await until(partial(_reached, dispute, Moved, depth))
        await client.connection.request("anvil_reorg", depth, [])
    await until(lambda: _reached(dispute, SignerConvicted, 3))
    assert set(await dispute.results()) == {GameResult.LOST_BY_FACT}
    await dispute.pass_time(61)
    await until(lambda: _ended(dispute, Ending.FALLEN))
    assert await dispute.status() is QueryStatus.OVERTURNED


@pytest.mark.deep
async def test_two_watchtowers_lose_no_bond_by_each_other(
    client: Client,
    devnet: Devnet,
    model: Model,
    question: Question,
    tower: Operator,
    second_tower: Operator,
) -> None:
    submitted, _ = await lied_to(client, devnet, model, question, 1, defends=False)
    dispute = Dispute(client, submitted.query_id)
    await until(lambda: _reached(dispute, ChallengeOpened, 2))
    await dispute.pass_time(61)
    await until(lambda: _reached(dispute, ChallengeEnded, 2))
    endings = [e.ending for e in await dispute.events() if isinstance(e, ChallengeEnded)]
    assert sorted(endings) == [Ending.FALLEN, Ending.FALLEN_ELSEWHERE]

    async def have_their_bonds() -> bool:
        held = [await dispute.balance(one.owner) for one in (tower, second_tower)]
        return min(held) == BONDS

    await until(have_their_bonds)


async def test_honest_signers_stand_against_a_sham_challenge_though_one_dies(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    submitted = await client.submit(model, question.features)
    assert is_right(await client.result(submitted), question)
    dispute = Dispute(client, submitted.query_id)
    before = [await dispute.stake(miner) for miner in devnet.miners]
    challenge = await sham_challenge(client, devnet, submitted.query_id, 1)
    signers = [devnet.operator_of(signer) for signer in challenge.signers]
    await until(lambda: _reached(dispute, Moved, 2))
    await observer.kill(signers[0])
    await until(lambda: _reached(dispute, Moved, len(signers) - 1))
    await observer.restart(signers[0])
    await dispute.pass_time(challenge.move_window + 1)
    await until(lambda: _ended(dispute, Ending.STANDING))
    assert set(await dispute.results()) == {GameResult.WON}
    assert [await dispute.stake(miner) for miner in devnet.miners] == before
    court = Court(client.connection, client.connection.deployment.court or Address(""))

    async def is_withdrawn() -> bool:
        credits = [await court.credit_of(signer.owner, "latest") for signer in signers]
        return not any(credits)

    await until(is_withdrawn)
    assert await dispute.status() is QueryStatus.FULFILLED
    *_, hold, end = await told_until(client, submitted, Released)
    assert hold == Held((1,), challenge.defence_ends)
    market = client.contracts.market
    assert end == Released(await market.closes_at(submitted.query_id, "latest"))


async def told_until(client: Client, query: SubmittedQuery, kind: type[Stage]) -> list[Stage]:
    """What is told of a query until such a stage."""
    told: list[Stage] = []
    async with contextlib.aclosing(client.watch(query)) as stages, asyncio.timeout(120):
        async for stage in stages:
            told.append(stage)
            if isinstance(stage, kind):
                break
    return told


@pytest.mark.deep
async def test_an_owner_defends_what_a_lost_signer_key_signed(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    """All signers of the shard are gone; one of their owners defends with its own account."""
    submitted = await client.submit(model, question.features)
    assert is_right(await client.result(submitted), question)
    dispute = Dispute(client, submitted.query_id)
    signers = devnet.miners[1::2]
    for operator in signers:
        await observer.kill(operator)
    await devnet.foundation.chain.give_coins(signers[0].owner)
    name = await devnet.founder.start_defence(signers[0])
    challenge = await sham_challenge(client, devnet, submitted.query_id, 1)
    await until(lambda: _reached(dispute, Moved, 1))
    await devnet.supervisor.kill(name)
    await devnet.founder.start_defence(signers[0])
    await dispute.pass_time(challenge.move_window + 1)
    await until(lambda: _ended(dispute, Ending.STANDING))
    assert await dispute.results() == [GameResult.WON]
    assert await dispute.status() is QueryStatus.FULFILLED
    await devnet.supervisor.stop(name)


@pytest.mark.deep
async def test_a_lie_that_can_be_proved_is_challenged_without_a_bond(
    client: Client, devnet: Devnet, model: Model, question: Question
) -> None:
    """The watchtower has no NES at all; its proof opens, and its moves convict who defends."""
    async with watching(devnet, client, "--fault-proofs", nes=0) as tower:
        prepared = await client.submit(model, question.features)
        assert is_right(await client.result(prepared), question)

        async def has_keys() -> bool:
            return "proving keys are ready" in devnet.layout.log(tower.name).read_text()

        await until(has_keys)
        submitted, _ = await lied_to(client, devnet, model, question, 0, defends=True)
        dispute = Dispute(client, submitted.query_id)
        await until(lambda: _reached(dispute, ChallengeOpened, 1))
        assert (await dispute.challenge()).bond == 0
        await until(lambda: _reached(dispute, SignerConvicted, 3))
        assert set(await dispute.results()) == {GameResult.LOST_BY_FACT}
        await dispute.pass_time(61)
        await until(lambda: _ended(dispute, Ending.FALLEN))


@pytest.mark.deep
async def test_who_signed_two_outputs_is_convicted_by_what_one_member_shows(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    """One statement is in the report on chain; the other one only a single member has seen."""
    liar, witness = devnet.miners[6], devnet.miners[4]
    submitted = await client.submit(model, question.features)
    assert is_right(await client.result(submitted), question)
    dispute = Dispute(client, submitted.query_id)
    before = await dispute.stake(liar)
    await observer.kill(witness)
    second = await second_statement(client, submitted.query_id, liar)
    async with showing(witness, second), watching(devnet, client):
        await until(lambda: _has_lost(dispute, liar, before))
    convicted = Court(client.connection, client.connection.deployment.court or Address(""))
    assert await convicted.is_convicted(submitted.query_id, 0, liar.signer, "latest")


async def second_statement(client: Client, query_id: QueryId, liar: Operator) -> ShardEvidence:
    """Another output that the liar commits to and signs in a round of its own."""
    history = await find_query(client.connection, query_id)
    drawn = await drawn_for(client.connection, history)
    members = [tuple(seat.signer for seat in seats) for seats in drawn.shards]
    (_, honest), *_ = await reported_evidence(client.connection, history, members)
    deployment, query = client.connection.deployment, history.query
    ids = (deployment.chain_id, deployment.market, query_id, query.attempt, drawn.seed_hash)
    context, output, salt = ShardContext(*ids, 0), Digest(b"\1" * 32), b"\7" * 32
    place = members[0].index(liar.signer)
    made = commitment(context, 7, liar.signer, honest.in_digest, output, salt)
    result = SignedResult(place, salt, b"", b"")
    entries = (made,) * len(members[0])
    other = ShardEvidence(7, honest.in_digest, output, entries, (result,))
    (said,) = statements_in(context, other)
    signed = attestation_hash(context.chain_id, context.market, said.attestation)
    password = liar.password_file.read_text().splitlines()[0]
    key = PrivateKey(bytes(load_keystore(liar.folder / "keys/signer.json", password).key))
    r, vs = sign_digest(key, signed)
    return replace(other, results=(replace(result, r=r, vs=vs),))


@contextlib.asynccontextmanager
async def showing(witness: Operator, evidence: ShardEvidence) -> AsyncIterator[None]:
    """Evidence of shard 0 where a miner that was killed used to answer."""

    async def show(request: web.Request) -> web.Response:
        is_asked = request.match_info["shard"] == "0"
        return web.Response(body=encode_evidence(evidence), status=200 if is_asked else 404)

    app = web.Application()
    app.router.add_get("/v1/evidence/{query}/{attempt}/{shard}", show)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", witness.port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def _has_lost(dispute: Dispute, operator: Operator, before: int) -> bool:
    return await dispute.stake(operator) < before


async def sham_challenge(
    client: Client, devnet: Devnet, query_id: QueryId, shard: int
) -> Challenge:
    """Somebody challenges a right output and never plays."""
    account = devnet.foundation.people.deployer.account
    room = Courtroom.open(client.connection, Sender(client.connection, account))
    history = await find_query(client.connection, query_id)
    accuser = Accuser(room, Means(BONDS, 1))
    while not await accuser.accuse(history, shard, {}):
        await asyncio.sleep(0.2)
    challenges = await Dispute(client, query_id).challenges()
    return next(one for one in challenges if one.charge.shard == shard)


async def _says(devnet: Devnet, operator: Operator, words: str) -> bool:
    return words in devnet.layout.log(operator.name).read_text()


async def _reached(dispute: Dispute, kind: type[ChainEvent], count: int) -> bool:
    return await dispute.count(kind) >= count


async def _ended(dispute: Dispute, ending: Ending) -> bool:
    return await dispute.ending() is ending
