"""What the court said and the time of the chain say what is due; nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_utils.crypto import keccak

from nesa.chain.dispute_duties import (
    Collect,
    Conclude,
    Defend,
    Duty,
    Expire,
    Reply,
    Standpoint,
    defence_begins,
    duties,
)
from nesa.chain.disputes import Challenge, Ending, GameResult
from nesa.chain.docket import Docket, concerns, fold
from nesa.chain.events import ChallengeEnded, ChallengeOpened, GameEnded, LogKey, Moved
from nesa.models.disputes.game import Side
from nesa.models.disputes.traces import Charge
from nesa.protocol.ids import Amount, BlockNumber, Digest, QueryId, Seconds, Timestamp
from scripts.deployment.economies import ENVIRONMENTS
from scripts.deployment.profiles import DEVNET, PUBLIC, Profile
from tests.miner.disputes.memory_court import CHALLENGER, CLIENT, signer

KEY = LogKey(BlockNumber(1), 0, Digest(keccak(text="log")), Digest(keccak(text="log")))
A, B = signer(0), signer(1)
FIRST = Challenge(
    1, CHALLENGER, QueryId(7), CLIENT, Charge(bytes(32), 0, 1, bytes(32), bytes(32)), (A, B),
    Amount(1000), Amount(100), Amount(50), Timestamp(100), Seconds(20),
)  # fmt: skip
SECOND = replace(FIRST, challenge_id=2, challenger=CLIENT)

DEFENDER, OTHER = Standpoint(Side.DEFENDER, A), Standpoint(Side.DEFENDER, B)
ACCUSER, ACCUSER_2 = Standpoint(Side.CHALLENGER, CHALLENGER), Standpoint(Side.CHALLENGER, CLIENT)
OPENED = ChallengeOpened(KEY, 1, CHALLENGER, QueryId(7), FIRST)


def moved(signer_: str, deadline: int, challenge: int = 1) -> Moved:
    return Moved(KEY, challenge, signer_, b"move", Timestamp(deadline))  # type: ignore[arg-type]


def due(docket: Docket, me: Standpoint, now: int) -> list[Duty]:
    return list(duties(docket, me, Timestamp(now)))


def test_a_challenged_signer_defends_until_the_window_ends() -> None:
    docket = fold([OPENED])
    assert due(docket, DEFENDER, 100) == [Defend(1, A)]
    assert due(docket, DEFENDER, 101) == []
    assert due(docket, ACCUSER, 100) == []


def test_an_outsider_owes_nothing() -> None:
    docket = fold([OPENED, moved(A, 60)])
    assert due(docket, Standpoint(Side.DEFENDER, signer(5)), 50) == []
    assert due(docket, Standpoint(Side.CHALLENGER, A), 50) == []


def test_moves_alternate_and_each_has_its_time() -> None:
    docket = fold([OPENED, moved(A, 60)])
    assert due(docket, ACCUSER, 60) == [Reply(1, A, 1)]
    assert due(docket, DEFENDER, 60) == []
    docket = fold([OPENED, moved(A, 60), moved(A, 80)])
    assert due(docket, DEFENDER, 80) == [Reply(1, A, 2)]
    assert due(docket, ACCUSER, 80) == []
    assert due(docket, OTHER, 80) == [Defend(1, B)]


def test_who_is_late_loses_from_the_second_after() -> None:
    docket = fold([OPENED, moved(A, 60)])
    assert due(docket, DEFENDER, 61) == [Expire(1, A)]
    assert due(docket, ACCUSER, 61) == []
    docket = fold([OPENED, moved(A, 60), moved(A, 80)])
    assert due(docket, ACCUSER, 81) == [Expire(1, A)]


def test_every_game_is_played_at_once() -> None:
    docket = fold([OPENED, moved(A, 60), moved(B, 70), moved(B, 80)])
    assert due(docket, ACCUSER, 55) == [Reply(1, A, 1)]
    assert due(docket, ACCUSER, 81) == [Expire(1, B)]


@pytest.mark.parametrize("result", [GameResult.LOST_BY_TIME, GameResult.LOST_BY_FACT])
def test_nobody_else_defends_in_vain_after_a_lost_game(result: GameResult) -> None:
    docket = fold([OPENED, moved(A, 60), GameEnded(KEY, 1, A, result)])
    assert due(docket, DEFENDER, 90) == []
    assert due(docket, OTHER, 90) == [Defend(1, B)]
    assert due(docket, ACCUSER, 100) == []
    assert due(docket, ACCUSER, 101) == [Conclude(1)]


def test_a_won_game_is_concluded_by_its_winner_and_ends_all_others() -> None:
    won = GameEnded(KEY, 1, A, GameResult.WON)
    docket = fold([OPENED, moved(A, 60), moved(B, 70), moved(B, 90), won])
    assert due(docket, DEFENDER, 61) == [Conclude(1)]
    assert due(docket, OTHER, 61) == []
    assert due(docket, ACCUSER, 200) == []
    assert due(docket, OTHER, 120) == []
    assert due(docket, OTHER, 121) == [Conclude(1)]


def test_nobody_slashes_itself() -> None:
    docket = fold([OPENED])
    assert due(docket, DEFENDER, 10_000) == []


def test_an_output_that_fell_in_one_challenge_has_fallen_in_all() -> None:
    second = ChallengeOpened(KEY, 2, CLIENT, QueryId(7), SECOND)
    fallen = ChallengeEnded(KEY, 1, QueryId(7), Ending.FALLEN)
    docket = fold([OPENED, second, moved(A, 60, 2), fallen])
    assert due(docket, ACCUSER_2, 50) == [Conclude(2)]
    assert due(docket, DEFENDER, 50) == [Collect(1)]
    assert due(docket, DEFENDER, 121) == [Collect(1), Conclude(2)]


def test_what_ended_is_collected() -> None:
    docket = fold([OPENED, ChallengeEnded(KEY, 1, QueryId(7), Ending.STANDING)])
    assert due(docket, DEFENDER, 1) == due(docket, ACCUSER, 1) == [Collect(1)]


def test_games_of_others_need_not_be_kept() -> None:
    docket = fold([OPENED])
    stranger = Standpoint(Side.DEFENDER, signer(5)).takes_part
    assert concerns({}, OPENED, stranger)
    assert concerns(docket, moved(B, 60), DEFENDER.takes_part)
    assert not concerns(docket, moved(B, 60), stranger)
    assert not concerns({}, moved(B, 60), DEFENDER.takes_part)
    assert concerns(docket, ChallengeEnded(KEY, 1, QueryId(7), Ending.FALLEN), stranger)


def test_events_of_unknown_challenges_change_nothing() -> None:
    assert fold([moved(A, 60), GameEnded(KEY, 1, A, GameResult.WON)]) == {}


SIGNERS = tuple(map(signer, range(4)))
HOURS = 3_600


def begins(number: int, window: int, move_window: int) -> list[int]:
    """Seconds after the challenge at which each signer in turn defends."""
    ends, clocks = Timestamp(10**6), (Seconds(window), Seconds(move_window))
    challenge = replace(
        FIRST, challenge_id=number, signers=SIGNERS, defence_ends=ends, move_window=clocks[1]
    )
    opened = ends - window
    return [defence_begins(challenge, one, clocks[0]) - opened for one in SIGNERS]


def test_signers_take_turns_where_a_turn_fits() -> None:
    """As on public networks: two days to defend, four hours a move."""
    assert begins(4, 48 * HOURS, 4 * HOURS) == [0, 5 * HOURS, 10 * HOURS, 15 * HOURS]
    assert begins(5, 48 * HOURS, 4 * HOURS) == [15 * HOURS, 0, 5 * HOURS, 10 * HOURS]


def test_each_challenge_has_another_signer_first_and_always_one_at_once() -> None:
    for number in range(1, 9):
        waited = begins(number, 48 * HOURS, 4 * HOURS)
        assert waited.index(0) == number % 4


@pytest.mark.parametrize("window", [60, 600, 48 * HOURS, 480 * HOURS])
@pytest.mark.parametrize("move_window", [1, 30, 4 * HOURS])
def test_nobody_waits_for_longer_than_a_third_of_its_time(window: int, move_window: int) -> None:
    waited = begins(3, window, move_window)
    assert min(waited) == 0
    assert 3 * max(waited) <= window


@pytest.mark.parametrize("profile", [DEVNET, PUBLIC])
def test_who_waited_may_still_be_away_as_long_as_operators_are(profile: Profile) -> None:
    """What is left of the window keeps `defences_outlast_absence` of docs/economics.md."""
    clocks = profile.query
    waited = max(begins(3, clocks.defence_window, clocks.move_window))
    away = ENVIRONMENTS[profile.name].absence_seconds
    assert clocks.defence_window - waited >= clocks.move_window + away


def test_everybody_defends_at_once_where_no_turn_fits() -> None:
    """As on a devnet: a minute to defend, half a minute a move."""
    assert begins(2, 60, 30) == [0, 0, 0, 0]


def test_an_owner_defends_all_its_signers_and_nobody_elses() -> None:
    owner = Standpoint(Side.DEFENDER, CLIENT, frozenset({A}))
    assert due(fold([OPENED]), owner, 50) == [Defend(1, A)]
    assert due(fold([OPENED, moved(B, 60)]), owner, 61) == [Defend(1, A)]
    both = Standpoint(Side.DEFENDER, CLIENT, frozenset({A, B}))
    assert due(fold([OPENED]), both, 50) == [Defend(1, A), Defend(1, B)]
    assert not Standpoint(Side.CHALLENGER, CLIENT, frozenset({A})).answers_for(A)
