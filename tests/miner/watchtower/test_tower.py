"""A watchtower takes up, inspects and accuses, through outages, kills and reorganisations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from eth_utils.crypto import keccak
from prometheus_client import CollectorRegistry

from nesa.chain.anvil import free_port
from nesa.chain.connection import Block
from nesa.chain.court import NO_VIEW, View
from nesa.chain.dispute_duties import Standpoint
from nesa.chain.events import (
    ChainEvent,
    ChallengeOpened,
    OperatorSlashed,
    QueryFulfilled,
    QueryHeld,
    QueryOverturned,
    QueryReleased,
)
from nesa.chain.history import QueryHistory
from nesa.chain.logs import Batch, Cursor, ReadBlock, Undone
from nesa.chain.status import ask_running
from nesa.models.disputes.game import Side
from nesa.protocol.errors import InvalidMessage, Unavailable
from nesa.protocol.faults import Equivocation
from nesa.protocol.ids import Address, Amount, BlockNumber, Digest, QueryId, Timestamp, VersionId
from nesa.protocol.queries import CallbackResult, Query
from nesa_miner.disputes.equivocating import Equivocators
from nesa_miner.disputes.litigation import Litigation
from nesa_miner.disputes.observability import DisputeMetrics
from nesa_miner.transport.http import HttpServer
from nesa_miner.watchtower.accusing import Accuser
from nesa_miner.watchtower.config import WatchSettings
from nesa_miner.watchtower.daemon import Watchtower
from nesa_miner.watchtower.evicting import Evictions
from nesa_miner.watchtower.journal import WatchJournal
from nesa_miner.watchtower.observability import WatchMetrics
from nesa_miner.watchtower.tower import Tower
from tests.miner.committee_network import DEPLOYMENT, log_key
from tests.miner.disputes.memory_court import CHALLENGER, CLIENT, MemoryCourt, room_of
from tests.miner.disputes.test_duties import FIRST
from tests.miner.watchtower.test_inspecting import (
    CONTENT_KEY,
    LIBRARY,
    REQUEST,
    SEALED,
    outcome,
    sealed,
    true_digests,
)
from tests.protocol.test_faults import said, twofold

LIE = Digest(b"\1" * 32)
ANSWERED_AT = 1_000
CLOSES_AT = ANSWERED_AT + 120


@dataclass
class Watch:
    """A tower on a chain in memory: `histories` is what the node tells, `accused` what it did."""

    folder: Path
    share: float = 1.0
    block: int = 10
    histories: dict[int, QueryHistory] = field(default_factory=dict)
    accused: list[tuple[int, int]] = field(default_factory=list)
    twofold: list[tuple[Address, Equivocation]] = field(default_factory=list)
    unreadable: list[Exception] = field(default_factory=list)
    gate: asyncio.Event | None = None
    compared: int = 0
    convicted: list[Address] = field(default_factory=list)
    rewound: int = 0
    evicted: list[list[Address]] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    granted: dict[Query, bytes] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    now: float = 0.0
    tower: Tower = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        journal = WatchJournal(self.folder / "journal.sqlite", b"me")
        _, room = room_of(MemoryCourt(cast(Any, None)), CHALLENGER)
        me, metrics = Standpoint(Side.CHALLENGER, CHALLENGER), WatchMetrics()
        series = DisputeMetrics(CollectorRegistry(), "test")
        disputes = Litigation(
            me, journal.court_log, room, cast(Any, None), self.spawn, self.clock, series
        )
        connection = SimpleNamespace(deployment=DEPLOYMENT)
        accuser = SimpleNamespace(
            accuse=self.accuse, room=SimpleNamespace(connection=connection), prover=None
        )
        equivocators = SimpleNamespace(
            add=self.convict, advance=lambda: None, reload=self.rewind, pending={}
        )
        evictions = SimpleNamespace(
            advance=lambda: None, reload=lambda: self.evicted.append(journal.slashed())
        )
        self.tower = Tower(
            journal, LIBRARY, self.history, self.granted.get, self.statements,
            cast(Accuser, accuser), disputes, cast(Equivocators, equivocators),
            cast(Evictions, evictions), None, self.share,
            self.spawn, self.clock, metrics, is_following=True,
        )  # fmt: skip
        self.tower.restart()

    def convict(self, signer: Address, _: Equivocation) -> None:
        self.convicted.append(signer)

    def rewind(self) -> None:
        self.rewound += 1

    async def statements(self, _: QueryHistory) -> list[tuple[Address, Equivocation]]:
        self.compared += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.unreadable:
            raise self.unreadable.pop()
        return self.twofold

    def kill(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.tower.journal.close()

    def clock(self) -> float:
        return self.now

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def history(self, query_id: QueryId) -> QueryHistory:
        if query_id not in self.histories:
            raise Unavailable("the node does not answer")
        return self.histories[query_id]

    async def accuse(
        self, history: QueryHistory, shard: int, _: object, view: View = NO_VIEW
    ) -> bool:
        self.accused.append((history.query.query_id, shard))
        self.views.append(view)
        return True

    def tell(
        self, *events: ChainEvent, undone: tuple[ChainEvent, ...] = (), at: int = ANSWERED_AT
    ) -> None:
        """The next block."""
        self.block += 1
        name = Digest(keccak(text=str(self.block)))
        tip = Block(BlockNumber(self.block), name, name, Timestamp(at), 0)
        cursor = Cursor((ReadBlock(tip.number, name),))
        gone = tuple(Undone(event.log) for event in undone)
        self.tower.apply(Batch(gone, events, cursor, tip, True))

    async def settle(self) -> None:
        """Everything that is due is done, retries included."""
        for _ in range(4):
            self.now += 100
            self.tower.advance()
            await asyncio.gather(*self.tasks)

    async def until(self, condition: Callable[[], bool]) -> None:
        """What is due goes on until `condition` holds, although something never ends."""
        async with asyncio.timeout(60):
            while not condition():
                self.now += 100
                self.tower.advance()
                await asyncio.sleep(0.02)

    def inspected(self, verdict: str) -> float:
        found = self.tower.metrics.registry.get_sample_value(
            "nesa_watchtower_inspected_total", {"verdict": verdict}
        )
        return found or 0.0


@pytest_asyncio.fixture
async def watch(tmp_path: Path) -> AsyncIterator[Watch]:
    watch = Watch(tmp_path)
    yield watch
    watch.kill()


async def answer(watch: Watch, *, lie: bool, number: int = 1) -> QueryFulfilled:
    """The chain tells of an answer, and the node of its query."""
    digests = await true_digests()
    settled = outcome([digests[0], LIE] if lie else digests)
    settled = replace(settled, fulfilled_at=Timestamp(ANSWERED_AT))
    key, query_id = log_key(f"answer {number}"), QueryId(number)
    told = QueryFulfilled(key, query_id, CLIENT, CallbackResult.SKIPPED, b"", settled)
    query = replace(REQUEST.query, query_id=query_id)
    watch.histories[number] = QueryHistory(REQUEST, query, told)
    return told


async def test_a_right_answer_is_inspected_and_forgotten(watch: Watch) -> None:
    watch.tell(await answer(watch, lie=False))
    await watch.settle()
    assert watch.inspected("right") == 1
    assert watch.tower.cases == {}
    assert watch.tower.journal.cases() == []


async def test_a_lie_is_accused_until_the_challenge_is_open(watch: Watch) -> None:
    watch.tell(await answer(watch, lie=True))
    await watch.settle()
    assert set(watch.accused) == {(1, 1)}
    charge = replace(FIRST.charge, shard=1, shards=2)
    challenge = replace(FIRST, query_id=QueryId(1), charge=charge)
    watch.tell(ChallengeOpened(log_key("opened"), 1, CHALLENGER, QueryId(1), challenge))
    watch.accused.clear()
    await watch.settle()
    assert watch.accused == []


async def test_a_kill_loses_no_case(watch: Watch) -> None:
    watch.tell(await answer(watch, lie=True), await answer(watch, lie=False, number=2))
    watch.kill()
    watch.start()
    await watch.settle()
    watch.kill()
    watch.accused.clear()
    watch.start()
    assert [case.wrong_shard for case in watch.tower.cases.values()] == [1]
    await watch.settle()
    assert set(watch.accused) == {(1, 1)}


async def test_an_outage_puts_off_and_the_windows_end_it(watch: Watch) -> None:
    told = await answer(watch, lie=True)
    known = watch.histories.pop(1)
    watch.tell(told)
    await watch.settle()
    assert len(watch.tower.cases) == 1
    watch.histories[1] = known
    await watch.settle()
    assert watch.accused
    watch.tell(at=CLOSES_AT + 1)
    await watch.settle()
    assert watch.tower.cases == {}


async def test_an_answer_that_a_reorganisation_undid_is_no_case(watch: Watch) -> None:
    told = await answer(watch, lie=True)
    watch.tell(told)
    watch.tell(undone=(told,))
    await watch.settle()
    assert watch.tower.cases == {}
    assert watch.accused == []


async def test_an_answer_that_comes_back_after_a_reorganisation_is_inspected_again(
    watch: Watch,
) -> None:
    watch.gate = asyncio.Event()
    told = await answer(watch, lie=False)
    watch.tell(told)
    await watch.until(lambda: watch.inspected("right") == watch.compared == 1)
    watch.tell(undone=(told,))
    watch.tell(told)
    watch.gate.set()
    await watch.settle()
    assert watch.inspected("right") == 2
    assert watch.tower.cases == {}


async def test_another_answer_than_was_told_is_not_judged(watch: Watch) -> None:
    told = await answer(watch, lie=True)
    other = replace(told, log=log_key("the answer of another branch"))
    watch.histories[1] = replace(watch.histories[1], fulfilled=other)
    watch.tell(told)
    await watch.settle()
    assert watch.accused == []
    assert len(watch.tower.cases) == 1


async def test_a_held_query_stays_open_for_as_long_as_its_clock_stands(watch: Watch) -> None:
    watch.tell(await answer(watch, lie=True))
    await watch.settle()
    watch.tell(QueryHeld(log_key("held"), QueryId(1), 1))
    watch.tell(at=CLOSES_AT + 50)
    await watch.settle()
    assert len(watch.tower.cases) == 1
    released = QueryReleased(log_key("released"), QueryId(1), 1, Timestamp(CLOSES_AT + 60))
    watch.tell(released, at=CLOSES_AT + 55)
    await watch.settle()
    assert len(watch.tower.cases) == 1
    watch.tell(at=CLOSES_AT + 61)
    await watch.settle()
    assert watch.tower.cases == {}


async def test_an_overturned_query_is_over(watch: Watch) -> None:
    watch.tell(await answer(watch, lie=True))
    await watch.settle()
    watch.tell(QueryOverturned(log_key("over"), QueryId(1), CLIENT, 1, Amount(5)))
    watch.tell(at=ANSWERED_AT + 1)
    await watch.settle()
    assert watch.tower.cases == {}


async def test_a_sealed_lie_is_accused_once_its_client_grants_the_view(watch: Watch) -> None:
    digests = await true_digests()
    settled = sealed([digests[0], LIE])
    settled = replace(settled, fulfilled_at=Timestamp(ANSWERED_AT))
    told = QueryFulfilled(
        log_key("sealed"), QueryId(1), CLIENT, CallbackResult.SKIPPED, b"", settled
    )
    watch.histories[1] = replace(SEALED, fulfilled=told)
    watch.tell(told)
    await watch.settle()
    assert len(watch.tower.cases) == 1
    assert watch.accused == []
    watch.granted[SEALED.query] = CONTENT_KEY
    await watch.settle()
    assert set(watch.accused) == {(1, 1)}
    assert watch.views[0].in_digest == digests[0]


async def test_nothing_is_done_while_the_chain_is_still_read(watch: Watch) -> None:
    watch.tower.is_following = False
    watch.tell(await answer(watch, lie=True))
    await watch.settle()
    assert watch.accused == []


async def test_only_versions_that_were_asked_last_stay_in_memory(watch: Watch) -> None:
    LIBRARY.released.clear()
    for number in range(1, 7):
        told = await answer(watch, lie=False, number=number)
        version = VersionId(bytes([number]) * 32)
        query = replace(watch.histories[number].query, version_id=version)
        watch.histories[number] = replace(watch.histories[number], query=query)
        watch.tell(told)
        await watch.settle()
    assert LIBRARY.released == [VersionId(bytes([number]) * 32) for number in (1, 2)]


@pytest.mark.parametrize(("share", "cases"), [(0.0, 0), (1.0, 1)])
async def test_what_is_not_sampled_is_not_looked_at(
    tmp_path: Path, share: float, cases: int
) -> None:
    watch = Watch(tmp_path, share)
    watch.tell(await answer(watch, lie=True))
    assert len(watch.tower.cases) == cases
    watch.kill()


TWICE = twofold(said(2, 9), said(2, 8, round_=1))


async def test_who_signed_twice_is_kept_before_it_is_shown(watch: Watch) -> None:
    watch.twofold = [(CHALLENGER, TWICE)]
    watch.tell(await answer(watch, lie=False))
    await watch.settle()
    assert watch.convicted == [CHALLENGER]
    assert watch.compared == 1
    watch.kill()
    watch.start()
    assert watch.tower.journal.equivocations() == [(CHALLENGER, TWICE)]


async def test_statements_that_cannot_be_had_yet_are_asked_for_again(watch: Watch) -> None:
    watch.unreadable = [Unavailable("the node does not answer")]
    watch.tell(await answer(watch, lie=True))
    await watch.settle()
    assert watch.compared == 2
    assert watch.accused


async def test_statements_that_nobody_can_read_keep_nothing_from_being_inspected(
    watch: Watch,
) -> None:
    watch.unreadable = [InvalidMessage("a report ends in the middle of a shard")]
    watch.tell(await answer(watch, lie=True))
    await watch.settle()
    assert watch.accused


async def test_members_that_take_their_time_delay_no_challenge(watch: Watch) -> None:
    watch.gate = asyncio.Event()
    watch.tell(await answer(watch, lie=True), await answer(watch, lie=False, number=2))
    await watch.until(lambda: bool(watch.accused) and watch.inspected("right") == 1)
    assert set(watch.accused) == {(1, 1)}
    assert {case.query_id for case in watch.tower.cases.values()} == {1, 2}
    watch.gate.set()
    await watch.settle()
    assert {case.query_id for case in watch.tower.journal.cases()} == {1}


async def test_a_slash_is_remembered_unless_a_reorganisation_undid_it(watch: Watch) -> None:
    sums = (Amount(8), Amount(8), CHALLENGER, Amount(1), CLIENT, Amount(1), Amount(6))
    slash = OperatorSlashed(log_key("slash"), CLIENT, *sums)
    watch.tell(slash)
    watch.kill()
    watch.start()
    watch.tell(undone=(slash,))
    assert watch.evicted == [[], [CLIENT], [CLIENT], []]
    assert watch.rewound == 3


async def test_the_summary_says_what_was_checked_and_found(watch: Watch) -> None:
    watch.tell(await answer(watch, lie=True), await answer(watch, lie=False, number=2))
    await watch.settle()
    said_ = watch.tower.summary()
    assert said_["checked"] == {"right": 1, "wrong": 1}
    assert said_["wrong"] == [{"query": 1, "shard": 1, "until": CLOSES_AT}]
    assert said_["last_checked"] == [
        {"query_id": 2, "verdict": "right", "why": "", "at": ANSWERED_AT},
        {"query_id": 1, "verdict": "wrong", "why": "shard 1", "at": ANSWERED_AT},
    ]


async def test_a_running_watchtower_is_asked_for_its_status(watch: Watch) -> None:
    watch.tell(await answer(watch, lie=True))
    await watch.settle()
    url, deployment = "http://127.0.0.1:1", Path("deployment.json")
    settings = WatchSettings(rpc_url=url, deployment=deployment, port=free_port())
    routes = Watchtower(settings, cast(Any, None), watch.tower).routes()
    server = HttpServer(routes, settings.host, settings.port)
    await server.start()
    try:
        said_ = await ask_running(settings.host, settings.port, "watchtower", "watching")
    finally:
        await server.close()
    assert (said_["account"], said_["checked"]) == (CHALLENGER, {"wrong": 1})
    with pytest.raises(Unavailable, match="no watchtower answers"):
        await ask_running(settings.host, settings.port, "watchtower", "watching")


def about(query_id: int) -> Equivocation:
    context = replace(TWICE.first.context, query_id=QueryId(query_id))
    first, second = (replace(one, context=context) for one in (TWICE.first, TWICE.second))
    return replace(TWICE, first=first, second=second)


async def test_a_full_disk_loses_nothing_that_was_signed_twice(watch: Watch) -> None:
    watch.tell(await answer(watch, lie=False))
    file, faults = watch.tower.journal._file, [about(number) for number in range(1, 41)]
    pages = file.execute("PRAGMA page_count").fetchone()[0]
    file.execute(f"PRAGMA max_page_count = {pages + 1}")
    watch.twofold = [(CHALLENGER, fault) for fault in faults]
    await watch.settle()
    assert 0 < len(watch.tower.journal.equivocations()) < 40
    assert len(watch.tower.cases) == 1
    file.execute("PRAGMA max_page_count = 1000000")
    await watch.settle()
    assert {fault for _, fault in watch.tower.journal.equivocations()} == set(faults)
    assert watch.tower.cases == {}
