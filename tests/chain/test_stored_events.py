"""Events come out of a journal as they went in."""

from __future__ import annotations

import pytest

from nesa.chain.abi import interface
from nesa.chain.disputes import Challenge, Ending, GameResult
from nesa.chain.events import (
    ChainEvent,
    ChallengeEnded,
    ChallengeOpened,
    EvidenceAnnounced,
    GameEnded,
    Moved,
    QueryFulfilled,
    QueryRequested,
    SlotClaimed,
)
from nesa.chain.stored_events import decode_stored_event, encode_event
from nesa.models.disputes.traces import Charge
from nesa.protocol.errors import Incompatible
from nesa.protocol.ids import Amount, Digest, QueryId, Seconds, Timestamp, VersionId
from nesa.protocol.outcomes import outcome_from_abi
from nesa.protocol.queries import CallbackResult
from tests.chain.test_events import KEY, ONE, TWO, example_query

CHARGE = Charge(b"\1" * 32, 1, 2, b"\2" * 32, b"\3" * 32)
CHALLENGE = Challenge(
    4, ONE, QueryId(7), TWO, CHARGE, (TWO, ONE), Amount(1000), Amount(100), Amount(50),
    Timestamp(5000), Seconds(30),
)  # fmt: skip
OUTCOME = outcome_from_abi(
    (b"\7" * 32, b"\6" * 32, b"\5" * 32, ONE, 99, [(0, b"\1" * 32, b"\2" * 32, b"\3" * 32, 15)])
)
EVENTS: list[ChainEvent] = [
    QueryRequested(KEY, QueryId(1), ONE, VersionId(b"\3" * 32), example_query(), b"input"),
    QueryFulfilled(KEY, QueryId(1), ONE, CallbackResult.SKIPPED, b"output", OUTCOME),
    SlotClaimed(KEY, QueryId(1), TWO, 0, Amount(5), 7),
    EvidenceAnnounced(KEY, ONE, Digest(b"\4" * 32)),
    ChallengeOpened(KEY, 4, ONE, QueryId(7), CHALLENGE),
    Moved(KEY, 4, TWO, b"a move", Timestamp(8)),
    GameEnded(KEY, 4, TWO, GameResult.LOST_BY_FACT),
    ChallengeEnded(KEY, 4, QueryId(7), Ending.FALLEN_ELSEWHERE),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_unchanged(event: ChainEvent) -> None:
    assert decode_stored_event(encode_event(event)) == event


def test_events_of_other_releases_are_named_as_such() -> None:
    (topic,) = (e.topic for e in interface("DisputeCourt").events if e.name == "EvidenceAnnounced")
    stored = encode_event(EVENTS[3])
    assert topic in stored
    with pytest.raises(Incompatible):
        decode_stored_event(stored.replace(topic, bytes(32)))
