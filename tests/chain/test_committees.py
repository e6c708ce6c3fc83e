"""The committees that the SDK draws, from seats as a vault would answer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from nesa.chain.committees import DrawnCommittees, drawn_committees, seats_wanted
from nesa.chain.connection import At
from nesa.chain.contracts import ZERO_ADDRESS, Operator, SeatRecord, Vault
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, Epoch, Timestamp, VersionId
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import ORACLE_SHARD, Assurance, Query
from nesa.protocol.summons import Absence, work_id
from tests.chain.test_events import example_query

MARKET = Address("0x" + "33" * 20)
SEED = Digest(b"\x42" * 32)
VERSION = VersionId(b"\3" * 32)
RULES = QueryParameters(7000, 1000, 500, 500, 10, 3, 20, 2, 60, 30, 120, 60, 20)
EMPTY = SeatRecord(ZERO_ADDRESS, ZERO_ADDRESS, Epoch(0), Epoch(2**40))


def address(number: int) -> Address:
    return Address(f"0x{number:040x}")


class FakeVault:
    """Seats in memory; operator n signs as n + 1000."""

    def __init__(
        self,
        seats: dict[tuple[VersionId, int], list[SeatRecord]],
        absent: dict[Digest, tuple[Absence, ...]] | None = None,
    ) -> None:
        self._seats = seats
        self._absent = absent or {}
        self.reads = 0

    async def absences(self, work: Digest, at: At) -> tuple[Absence, ...]:
        return self._absent.get(work, ())

    async def seats(
        self, version_id: VersionId, shard: int, slots: Sequence[int], at: At
    ) -> tuple[SeatRecord, ...]:
        self.reads += 1
        return tuple(self._seats[version_id, shard][slot] for slot in slots)

    async def operator(self, operator: Address, at: At) -> Operator:
        keys = (b"\1" * 32, b"\2" * 32)
        return Operator(operator, ZERO_ADDRESS, *keys, Epoch(3), f"http://{operator}")


def seat(number: int, since: int = 0, until: int = 2**40) -> SeatRecord:
    return SeatRecord(address(number), address(number + 1000), Epoch(since), Epoch(until))


def query_over(vault_seats: dict[tuple[VersionId, int], list[SeatRecord]], shards: int) -> Query:
    counts = sum(len(vault_seats[VERSION, shard]) << 24 * shard for shard in range(shards))
    counts |= len(vault_seats[VersionId(ZERO_DIGEST), ORACLE_SHARD]) << 24 * ORACLE_SHARD
    return replace(
        example_query(), shards=shards, seat_counts=counts, parameters=RULES.pack(), replicas=4
    )


def seats_of(*shards: list[SeatRecord]) -> dict[tuple[VersionId, int], list[SeatRecord]]:
    found = {(VERSION, index): seats for index, seats in enumerate(shards)}
    oracles = [seat(500 + number) for number in range(5)]
    return found | {(VersionId(ZERO_DIGEST), ORACLE_SHARD): oracles}


async def drawn(
    seats: dict[tuple[VersionId, int], list[SeatRecord]], query: Query, *absent: int
) -> DrawnCommittees:
    found = tuple(Absence(slot, Timestamp(9)) for slot in absent)
    work = work_id(MARKET, query.query_id, query.attempt, 0)
    vault = cast(Vault, FakeVault(seats, {work: found}))
    return await drawn_committees(vault, 31337, MARKET, query, SEED, "latest")


async def test_every_shard_has_its_replicas_and_the_oracles_their_turns() -> None:
    seats = seats_of([seat(n) for n in range(10)], [seat(20 + n) for n in range(4)])
    found = await drawn(seats, query_over(seats, 2))
    assert [len(members) for members in found.shards] == [4, 4]
    assert len(found.oracles) == RULES.oracle_turns
    assert {member.operator for member in found.shards[1]} == {address(20 + n) for n in range(4)}


async def test_inactive_and_vacant_seats_are_passed_over() -> None:
    away = [seat(1, since=4), seat(2, until=3), EMPTY]
    seats = seats_of([*away, *(seat(10 + n) for n in range(4))])
    found = await drawn(seats, query_over(seats, 1))
    assert {member.operator for member in found.shards[0]} == {address(10 + n) for n in range(4)}


async def test_too_few_seats_give_a_short_committee() -> None:
    seats = seats_of([seat(1), seat(2)])
    found = await drawn(seats, query_over(seats, 1))
    assert len(found.shards[0]) == 2


async def test_a_proved_query_has_one_member_and_spares() -> None:
    seats = seats_of([seat(n) for n in range(10)])
    query = replace(query_over(seats, 1), assurance=Assurance.PROVED, replicas=1)
    found = await drawn(seats, query)
    assert len(found.shards[0]) == RULES.prover_turns


async def test_members_know_their_places() -> None:
    seats = seats_of([seat(n) for n in range(4)], [seat(20 + n) for n in range(4)])
    found = await drawn(seats, query_over(seats, 2))
    for position, member in enumerate(found.shards[1]):
        assert found.position_of(1, member.signer) == position
        assert found.places_of(member.signer) == ((1, position),)
    assert found.places_of(address(9)) == ()


@pytest.mark.parametrize(("epoch", "key"), [(2, b"\1" * 32), (3, b"\2" * 32)])
async def test_the_encryption_key_is_that_of_the_querys_epoch(epoch: int, key: bytes) -> None:
    seats = seats_of([seat(n) for n in range(4)])
    found = await drawn(seats, replace(query_over(seats, 1), epoch=Epoch(epoch)))
    assert {member.encryption_key for member in found.shards[0]} == {key}


def test_no_draw_takes_more_than_eight() -> None:
    rules = replace(RULES, oracle_turns=200, prover_turns=200).pack()
    query = replace(example_query(), parameters=rules, assurance=Assurance.PROVED)
    assert (seats_wanted(query, 0), seats_wanted(query, ORACLE_SHARD)) == (8, 8)


async def test_spares_fill_the_slots_of_the_absent() -> None:
    seats = seats_of([seat(n) for n in range(10)])
    query = query_over(seats, 1)
    before, found = await drawn(seats, query), await drawn(seats, query, 2, 0)
    assert found.shards[0][:4] == before.shards[0]
    assert [found.shards[0].index(one) for one in found.occupants(0)] == [5, 1, 4, 3]
    assert found.places_of(found.shards[0][4].signer) == ((0, 4),)
    assert found.places_of(found.shards[0][2].signer) == ()
    assert found.candidates(0, 2) == (2, 4)


async def test_a_silent_spare_is_replaced_by_the_next() -> None:
    seats = seats_of([seat(n) for n in range(10)])
    found = await drawn(seats, query_over(seats, 1), 1, 1)
    assert found.lineup(0) == (0, 5, 2, 3)
    assert found.candidates(0, 1) == (1, 4, 5)


async def test_a_slot_stays_where_the_list_has_no_more_spares() -> None:
    seats = seats_of([seat(n) for n in range(5)])
    found = await drawn(seats, query_over(seats, 1), 1, 2)
    assert found.lineup(0) == (0, 4, 2, 3)
