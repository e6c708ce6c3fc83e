# pragma version ~=0.4.3
"""
@title Absence Harness
@license AGPL-3.0-only
@notice Opens the module of absences to tests.
"""
from contracts.lib import absence


@external
@pure
def work_id(market: address, query_id: uint256, attempt: uint256, shard: uint256) -> bytes32:
    return absence.work_id(market, query_id, attempt, shard)


@external
@pure
def count(word: uint256) -> uint256:
    return absence.count(word)


@external
@pure
def slot(word: uint256, spare: uint256) -> uint256:
    return absence.slot(word, spare)


@external
@pure
def since(word: uint256, spare: uint256) -> uint256:
    return absence.since(word, spare)


@external
@pure
def with_entry(word: uint256, absent: uint256, found_at: uint256) -> uint256:
    return absence.with_entry(word, absent, found_at)
