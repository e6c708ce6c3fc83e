"""What is told of a query follows from what one look at the chain shows."""

from __future__ import annotations

from dataclasses import replace

from nesa import (
    Closed,
    Delivered,
    Drawn,
    Expired,
    Finalised,
    Fulfilled,
    Held,
    Overturned,
    Refunded,
    Released,
    Requested,
)
from nesa.chain.connection import Block
from nesa.chain.disputes import Challenge
from nesa.chain.events import (
    LogKey,
    QueryClosed,
    QueryDelivered,
    QueryFulfilled,
    QueryHeld,
    QueryOverturned,
    QueryRefunded,
    QueryReleased,
    QueryRequested,
)
from nesa.chain.history import Hold, QueryHistory
from nesa.client.watching import Sight, Stage, is_over, next_stage
from nesa.protocol.ids import ZERO_DIGEST, Amount, BlockNumber, Digest, Timestamp
from nesa.protocol.queries import CallbackResult, Outcome
from tests.chain.test_stored_events import CHALLENGE
from tests.oracle.cases import NOBODY, SEED, committees_of, query_with

QUERY = query_with()
LOG = LogKey(BlockNumber(9), 0, Digest(b"\1" * 32), Digest(b"\2" * 32))
HISTORY = QueryHistory(
    QueryRequested(LOG, QUERY.query_id, NOBODY, QUERY.version_id, QUERY, b""), QUERY
)
COMMITTEES = committees_of(QUERY, ["a", "b"])
OUTCOME = Outcome(ZERO_DIGEST, SEED, ZERO_DIGEST, NOBODY, Timestamp(1_010), ())
ANSWER = QueryFulfilled(LOG, QUERY.query_id, NOBODY, CallbackResult.SKIPPED, b"", OUTCOME)
REFUND = QueryRefunded(LOG, QUERY.query_id, NOBODY, Amount(100))


def at(time: int) -> Block:
    return Block(BlockNumber(12), ZERO_DIGEST, ZERO_DIGEST, Timestamp(time), 0)


SIGHT = Sight(at(1_010), HISTORY, COMMITTEES)


def told_of(*sights: Sight) -> tuple[Stage, ...]:
    told: tuple[Stage, ...] = ()
    for sight in sights:
        while stage := next_stage(sight, told):
            told = (*told, stage)
    return told


def kinds(*sights: Sight) -> list[type[Stage]]:
    return [type(stage) for stage in told_of(*sights)]


def test_nothing_is_told_twice() -> None:
    answered = replace(SIGHT, history=replace(HISTORY, fulfilled=ANSWER))
    seen = kinds(replace(SIGHT, committees=None), SIGHT, SIGHT, answered, answered)
    assert seen == [Requested, Drawn, Fulfilled]


def test_another_draw_is_told_again() -> None:
    other = replace(COMMITTEES, seed_hash=Digest(b"\7" * 32))
    seen = told_of(SIGHT, replace(SIGHT, committees=other))
    assert seen[1:] == (Drawn(COMMITTEES), Drawn(other))


def test_an_answer_of_another_draw_is_not_told() -> None:
    stale = replace(ANSWER, outcome=replace(OUTCOME, seed=Digest(b"\7" * 32)))
    seen = kinds(replace(SIGHT, history=replace(HISTORY, fulfilled=stale)))
    assert seen == [Requested, Drawn]


def test_each_attempt_expires_on_its_own() -> None:
    again = replace(QUERY, attempt=1, answer_deadline=Timestamp(1_200))
    retried = replace(HISTORY, query=again)
    sights = [
        Sight(at(1_061), HISTORY, COMMITTEES),
        Sight(at(1_100), retried, None),
        Sight(at(1_201), retried, None),
        Sight(at(1_210), replace(retried, refunded=REFUND), None),
    ]
    assert kinds(*sights) == [Requested, Drawn, Expired, Requested, Expired, Refunded]


def test_a_delivered_answer_is_over() -> None:
    closed = QueryClosed(LOG, QUERY.query_id, Amount(3))
    delivered = QueryDelivered(LOG, QUERY.query_id, NOBODY, CallbackResult.SUCCEEDED)
    answered = replace(HISTORY, fulfilled=ANSWER)
    ended = replace(answered, delivered=delivered, closed=closed)
    waiting = told_of(Sight(at(1_180), answered, COMMITTEES))
    assert not is_over(waiting)
    sights = [
        Sight(at(1_180), answered, COMMITTEES),
        Sight(at(1_181), answered, COMMITTEES, is_final=True),
        Sight(at(1_190), ended, COMMITTEES, is_final=True),
    ]
    told = told_of(*sights)
    assert [type(stage) for stage in told[2:]] == [Fulfilled, Finalised, Delivered, Closed]
    assert is_over(told)


def test_an_overturned_answer_is_over() -> None:
    wrong = QueryOverturned(LOG, QUERY.query_id, NOBODY, 1, Amount(70))
    told = told_of(
        SIGHT, replace(SIGHT, history=replace(HISTORY, fulfilled=ANSWER, overturned=wrong))
    )
    assert told[-1] == Overturned(Amount(70))
    assert is_over(told)


def held(shard: int) -> QueryHeld:
    return QueryHeld(LOG, QUERY.query_id, shard)


def released(shard: int, closes_at: int) -> QueryReleased:
    return QueryReleased(LOG, QUERY.query_id, shard, Timestamp(closes_at))


def challenge(shard: int, defence_ends: int) -> Challenge:
    charge = replace(CHALLENGE.charge, shard=shard)
    return replace(CHALLENGE, charge=charge, defence_ends=Timestamp(defence_ends))


def disputed(holds: list[Hold], challenges: list[Challenge]) -> Sight:
    history = replace(HISTORY, fulfilled=ANSWER, holds=tuple(holds))
    return replace(SIGHT, history=history, challenges=tuple(challenges))


def test_a_hold_and_its_end_are_told_each_time() -> None:
    once, twice = [challenge(0, 1_040)], [challenge(0, 1_040), challenge(0, 1_090)]
    gone: list[Hold] = [held(0), released(0, 1_180)]
    told = told_of(
        disputed([held(0)], once),
        disputed([held(0)], once),
        disputed(gone, once),
        disputed([*gone, held(0)], twice),
        disputed([*gone, held(0), released(0, 1_220)], twice),
    )
    assert told[3:] == (
        Held((0,), Timestamp(1_040)),
        Released(Timestamp(1_180)),
        Held((0,), Timestamp(1_090)),
        Released(Timestamp(1_220)),
    )


def test_two_shards_are_held_until_the_last_is_released() -> None:
    both = [challenge(0, 1_040), challenge(1, 1_050)]
    told = told_of(
        disputed([held(0), held(1)], both),
        disputed([held(0), held(1), released(1, 1_000)], both),
        disputed([held(0), held(1), released(1, 1_000), released(0, 1_170)], both),
    )
    assert told[3:] == (
        Held((0, 1), Timestamp(1_050)),
        Held((0,), Timestamp(1_040)),
        Released(Timestamp(1_170)),
    )


def test_who_comes_after_a_hold_is_told_of_it() -> None:
    wrong = QueryOverturned(LOG, QUERY.query_id, NOBODY, 0, Amount(70))
    sight = disputed([held(0), wrong], [challenge(0, 1_040)])
    fallen = replace(sight, history=replace(sight.history, overturned=wrong))
    assert told_of(fallen)[3:] == (Held((0,), Timestamp(1_040)), Overturned(Amount(70)))
