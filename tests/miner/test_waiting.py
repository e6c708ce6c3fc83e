"""What came too early is kept within bounds, and what was taken is not lost for others."""

from __future__ import annotations

import pytest

from nesa.privacy.envelopes import Opened
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import ExhaustedResource
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId
from nesa.protocol.messages import Commit, Reveal
from nesa_miner.jobs import JobKey
from nesa_miner.waiting import MOST_EARLY_BYTES, MOST_MEMBER_BYTES, WaitingRoom

MARKET = Address("0x" + "11" * 20)
KEY = JobKey((1, 0))


CONTEXT = ShardContext(31337, MARKET, QueryId(1), 0, Digest(bytes(32)), 0)


def opened(number: int, sender: int = 0) -> Opened:
    commit = Commit(CONTEXT, number, 0, ZERO_DIGEST, b"", b"")
    return Opened(Address(f"0x{sender:040x}"), commit)


def long(size: int, round_: int = 0) -> Opened:
    digests = (ZERO_DIGEST,) * 4
    reveal = Reveal(CONTEXT, round_, 0, b"", *digests, b"", b"", (bytes(size),), b"\0")
    return Opened(Address(f"0x{9:040x}"), reveal)


def test_what_was_kept_is_taken_once() -> None:
    room = WaitingRoom()
    room.keep_early(KEY, opened(1), 0.0, {})
    room.keep_early(KEY, opened(2, sender=1), 0.0, {})
    assert room.take(KEY) == [opened(1), opened(2, sender=1)]
    assert room.take(KEY) == []


def test_a_full_room_sends_away_and_keeps_what_it_has() -> None:
    room = WaitingRoom(most_attempts=2, most_senders=2, most_messages=2)
    for number in (1, 2):
        room.keep_early(KEY, opened(number), 0.0, {})
    room.keep_early(KEY, opened(1, sender=1), 0.0, {})
    for sender in (0, 2):
        with pytest.raises(ExhaustedResource):
            room.keep_early(KEY, opened(3, sender=sender), 0.0, {})
    room.keep_early(JobKey((2, 0)), opened(1), 0.0, {})
    with pytest.raises(ExhaustedResource):
        room.keep_early(JobKey((3, 0)), opened(1), 0.0, {})
    assert len(room.take(KEY)) == 3


def test_unknown_attempts_take_no_room_from_known_ones() -> None:
    room = WaitingRoom(most_attempts=1, most_unknown=1)
    room.keep_early(JobKey((2, 0)), opened(1), 0.0, {KEY})
    room.keep_early(KEY, opened(1), 0.0, {KEY})
    with pytest.raises(ExhaustedResource):
        room.keep_early(JobKey((2, 0)), opened(2), 0.0, {KEY})


def test_what_nobody_ever_hears_of_makes_room_after_a_while() -> None:
    room = WaitingRoom(most_attempts=1, patience=60)
    room.keep_early(KEY, opened(1), 0.0, {})
    with pytest.raises(ExhaustedResource):
        room.keep_early(JobKey((2, 0)), opened(1), 60.0, {})
    room.keep_early(JobKey((2, 0)), opened(1), 61.0, {})
    assert room.take(KEY) == []


def test_strangers_leave_no_tensors_here() -> None:
    with pytest.raises(ExhaustedResource, match="too long"):
        WaitingRoom().keep_early(KEY, long(MOST_EARLY_BYTES), 0.0, {KEY})


def test_of_a_member_the_newest_messages_count() -> None:
    room = WaitingRoom(most_messages=2)
    for number in range(4):
        room.keep_from_member(KEY, opened(number), 0.0)
    assert room.take(KEY) == [opened(2), opened(3)]


def test_of_a_member_only_so_many_bytes_are_kept() -> None:
    room = WaitingRoom()
    third = MOST_MEMBER_BYTES // 3
    for number in range(4):
        room.keep_from_member(KEY, long(third - 1, number), 0.0)
    assert room.take(KEY) == [long(third - 1, number) for number in (1, 2, 3)]
    room.keep_from_member(KEY, long(MOST_MEMBER_BYTES), 0.0)
    assert room.take(KEY) == []
