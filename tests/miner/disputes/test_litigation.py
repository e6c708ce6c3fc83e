"""Both sides play their games to the end, whatever is lost or killed on the way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from nesa.chain.dispute_duties import Standpoint
from nesa.chain.disputes import Ending, GameResult
from nesa.models.disputes.game import Side
from nesa.models.disputes.parties import Defender
from nesa.models.disputes.traces import Charge
from nesa.models.judging import Witness
from nesa.protocol.ids import Address, QueryId, Timestamp
from nesa_miner.disputes.court_log import COURT_EVENTS, CourtLog
from nesa_miner.disputes.inputs import Recomputed
from nesa_miner.disputes.litigation import Litigation
from nesa_miner.disputes.observability import DisputeMetrics
from nesa_miner.journal_file import Format, JournalFile
from tests.judging import drawn_inputs, witness_of
from tests.miner.disputes.memory_court import (
    CHALLENGER,
    DEFENCE_WINDOW,
    MOVE_WINDOW,
    OWNER,
    MemoryCourt,
    MemoryRoom,
    room_of,
    signer,
)
from tests.models.disputes.parties import falsified
from tests.models.tables import small_network

FORMAT = Format(1, COURT_EVENTS)
A, B = signer(0), signer(1)
TABLE = small_network()
TRUTH = witness_of(TABLE, drawn_inputs(TABLE, np.random.default_rng(1)))
LAST = len(TABLE.rows) - 1
LIE = falsified(TRUTH, LAST, 0, int(TRUTH.values[TABLE.outputs[0]].reshape(-1)[0]) ^ 1, hide=False)


@dataclass
class Litigant:
    """One side with a journal of its own, which survives `restart`."""

    court: MemoryCourt
    me: Standpoint
    witness: Witness
    path: Path
    read: int = 0
    room: MemoryRoom = field(init=False)
    litigation: Litigation = field(init=False)
    file: JournalFile = field(init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    recomputed: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.room, room = room_of(self.court, self.me.account)
        self.file = JournalFile(self.path, b"identity", FORMAT)
        metrics = DisputeMetrics(CollectorRegistry(), "test")
        log, clock = CourtLog(self.file), asyncio.get_running_loop().time
        self.litigation = Litigation(self.me, log, room, self.recompute, self.spawn, clock, metrics)
        self.litigation.reload()

    def restart(self) -> None:
        """As after kill -9: tasks are gone, the journal stays."""
        for task in self.tasks:
            task.cancel()
        self.file.close()
        self.start()

    async def recompute(self, _: QueryId, __: Charge) -> Recomputed:
        self.recomputed += 1
        return Recomputed(self.witness)

    def spawn(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def follow(self) -> None:
        """Read what is new and start what is due."""
        new = self.court.events[self.read :]
        now = Timestamp(self.court.now)
        with self.file.transaction():
            self.litigation.store([], [(event.log.block_hash, event) for event in new], now)
        self.read = len(self.court.events)
        self.litigation.reload()
        self.litigation.advance(now)


async def settle(court: MemoryCourt, *sides: Litigant) -> None:
    """Everybody acts until nothing more comes of it; time stands still."""
    quiet = 0
    while quiet < 3:
        before = len(court.events)
        for side in sides:
            side.follow()
        await asyncio.gather(*(task for side in sides for task in side.tasks))
        quiet = 0 if len(court.events) > before else quiet + 1


@pytest.fixture
def court() -> MemoryCourt:
    return MemoryCourt(TRUTH)


def defender(court: MemoryCourt, witness: Witness, who: Address, folder: Path) -> Litigant:
    return Litigant(court, Standpoint(Side.DEFENDER, who), witness, folder / f"{who}.sqlite")


def challenger(court: MemoryCourt, folder: Path) -> Litigant:
    me = Standpoint(Side.CHALLENGER, CHALLENGER)
    return Litigant(court, me, TRUTH, folder / "challenger.sqlite")


async def test_two_liars_are_convicted_in_games_of_their_own(
    court: MemoryCourt, tmp_path: Path
) -> None:
    liars = [defender(court, LIE, who, tmp_path) for who in (A, B)]
    watcher = challenger(court, tmp_path)
    court.open(Defender(LIE, 0).charge, (A, B))
    await settle(court, watcher, *liars)
    assert set(court.results.values()) == {GameResult.LOST_BY_FACT}
    assert len(court.results) == 2
    court.now += DEFENCE_WINDOW + 1
    await settle(court, watcher, *liars)
    assert court.endings == {1: Ending.FALLEN}
    assert watcher.room.collected[:1] == [CHALLENGER]
    assert watcher.recomputed == 1


async def test_a_challenger_that_vanishes_loses_to_the_honest_signer(
    court: MemoryCourt, tmp_path: Path
) -> None:
    honest = defender(court, TRUTH, A, tmp_path)
    court.open(Defender(TRUTH, 0).charge, (A, B))
    await settle(court, honest)
    assert court.sent == ["defend"]
    court.now += MOVE_WINDOW + 1
    await settle(court, honest)
    assert court.sent == ["defend", "expire", "conclude"]
    assert court.endings == {1: Ending.STANDING}
    assert honest.room.collected[:1] == [A]


async def test_nobody_defends_what_it_does_not_compute_any_more(
    court: MemoryCourt, tmp_path: Path
) -> None:
    broken = defender(court, TRUTH, A, tmp_path)
    court.open(Defender(LIE, 0).charge, (A,))
    await settle(court, broken)
    assert court.sent == []
    assert broken.litigation.indefensible == {1}


async def test_a_challenger_that_was_wrong_stops(court: MemoryCourt, tmp_path: Path) -> None:
    honest, watcher = defender(court, TRUTH, A, tmp_path), challenger(court, tmp_path)
    court.open(Defender(TRUTH, 0).charge, (A,))
    await settle(court, honest, watcher)
    assert court.sent == ["defend"]
    assert watcher.litigation.indefensible == {1}


@pytest.mark.parametrize("killed", [Side.DEFENDER, Side.CHALLENGER])
async def test_a_side_killed_after_every_move_loses_nothing(
    court: MemoryCourt, tmp_path: Path, killed: Side
) -> None:
    liar, watcher = defender(court, LIE, A, tmp_path), challenger(court, tmp_path)
    victim = liar if killed is Side.DEFENDER else watcher
    court.open(Defender(LIE, 0).charge, (A,))
    while not court.results:
        for side in (liar, watcher):
            side.follow()
        victim.restart()
        victim.follow()
        await asyncio.gather(*liar.tasks, *watcher.tasks, return_exceptions=True)
    assert court.results == {(1, A): GameResult.LOST_BY_FACT}


async def test_a_call_that_is_lost_is_sent_again(
    court: MemoryCourt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nesa_miner.retrying.FIRST_PAUSE", 0.0)
    honest = defender(court, TRUTH, A, tmp_path)
    honest.room.fails = 2
    court.open(Defender(TRUTH, 0).charge, (A,))
    await settle(court, honest)
    await settle(court, honest)
    assert court.sent == ["defend"]


async def test_a_reorganisation_takes_a_move_back_and_it_is_made_again(
    court: MemoryCourt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nesa_miner.disputes.litigation.LONGEST_PAUSE", 0.0)
    honest = defender(court, TRUTH, A, tmp_path)
    court.open(Defender(TRUTH, 0).charge, (A,))
    await settle(court, honest)
    undone = court.events.pop()
    court.games.clear()
    honest.read -= 1
    with honest.file.transaction():
        honest.litigation.store([undone.log.block_hash], [], Timestamp(court.now))
    honest.litigation.reload()
    assert not honest.litigation.docket[1].games
    await settle(court, honest)
    assert court.sent == ["defend", "defend"]


async def test_what_ended_long_ago_is_forgotten(court: MemoryCourt, tmp_path: Path) -> None:
    honest = defender(court, TRUTH, A, tmp_path)
    court.open(Defender(TRUTH, 0).charge, (A,))
    await settle(court, honest)
    court.now += MOVE_WINDOW + 1
    await settle(court, honest)
    assert honest.litigation.docket
    court.now += 100_000
    await settle(court, honest)
    assert not honest.litigation.docket


PUBLIC_WINDOW = 12 * MOVE_WINDOW
TURN = MOVE_WINDOW + MOVE_WINDOW // 4


async def test_a_sham_challenge_that_nobody_plays_costs_one_signer_its_gas(tmp_path: Path) -> None:
    court = MemoryCourt(TRUTH, defence_window=PUBLIC_WINDOW)
    signers = [defender(court, TRUTH, who, tmp_path) for who in (A, B)]
    court.open(Defender(TRUTH, 0).charge, (A, B))
    await settle(court, *signers)
    assert court.sent == ["defend"]
    court.now += MOVE_WINDOW + 1
    await settle(court, *signers)
    assert court.sent == ["defend", "expire", "conclude"]
    assert court.endings == {1: Ending.STANDING}


async def test_the_others_defend_in_time_when_the_first_one_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nesa_miner.disputes.litigation.LONGEST_PAUSE", 0.0)
    court = MemoryCourt(TRUTH, defence_window=PUBLIC_WINDOW)
    second = defender(court, TRUTH, A, tmp_path)
    challenge = court.open(Defender(TRUTH, 0).charge, (A, B))
    assert challenge.challenge_id % 2 == 1, "B is first"
    await settle(court, second)
    assert court.sent == []
    second.restart()
    court.now += TURN
    await settle(court, second)
    assert court.sent == ["defend"]


async def test_a_challenger_that_plays_only_the_first_game_wins_nothing_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first signer is its friend and lets its game run out of time."""
    monkeypatch.setattr("nesa_miner.disputes.litigation.LONGEST_PAUSE", 0.0)
    court = MemoryCourt(TRUTH, defence_window=PUBLIC_WINDOW)
    friend, honest = (defender(court, TRUTH, who, tmp_path) for who in (B, A))
    watcher = challenger(court, tmp_path)
    watcher.witness = LIE
    court.open(Defender(TRUTH, 0).charge, (A, B))
    await settle(court, friend)
    await settle(court, watcher)
    while court.now < 1_000 + PUBLIC_WINDOW and 1 not in court.endings:
        court.now += TURN
        await settle(court, honest)
    assert court.results.get((1, A)) is GameResult.WON
    assert court.endings == {1: Ending.STANDING}


async def test_an_owner_plays_the_game_of_a_signer_whose_key_is_lost(
    court: MemoryCourt, tmp_path: Path
) -> None:
    me = Standpoint(Side.DEFENDER, OWNER, frozenset({A}))
    owner = Litigant(court, me, TRUTH, tmp_path / "owner.sqlite")
    court.open(Defender(TRUTH, 0).charge, (A, B))
    await settle(court, owner)
    court.now += MOVE_WINDOW + 1
    await settle(court, owner)
    assert court.sent == ["defend", "expire", "conclude"]
    assert court.results == {(1, A): GameResult.WON}
    assert owner.room.collected[:1] == [A]
