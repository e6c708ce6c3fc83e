"""Every event of the interfaces has its dataclass, and logs become the right one."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from eth_abi.abi import encode

from nesa.chain.abi import EventShape, interface
from nesa.chain.contracts import Market, Order
from nesa.chain.events import (
    CONTRACT_EVENTS,
    AttemptOpened,
    LogKey,
    OperatorRegistered,
    QueryFulfilled,
    RawLog,
    StakeDeposited,
    decode_event,
    raw_log,
)
from nesa.protocol.errors import Incompatible, InvalidInput, Unavailable
from nesa.protocol.ids import Address, Amount, BlockNumber, Digest, VersionId
from nesa.protocol.outcomes import outcome_as_abi, outcome_from_abi
from nesa.protocol.queries import QUERY_ABI, Assurance, CallbackResult, Privacy, Query

KEY = LogKey(BlockNumber(9), 1, Digest(b"\1" * 32), Digest(b"\2" * 32))
ONE = Address("0x" + "11" * 20)
TWO = Address("0x" + "22" * 20)
SHAPES = [(contract, shape) for contract in CONTRACT_EVENTS for shape in interface(contract).events]


def example_query() -> Query:
    head = (1, ONE, b"\3" * 32, b"\4" * 32, b"\5" * 32, Assurance.AGREED, Privacy.OPEN)
    return Query.from_abi((*head, 1, 4, 10, 0, 0, 0, 3, 5, 6, 7, 8, 0, 11))


def word(value: int | str) -> bytes:
    return encode(["uint256" if isinstance(value, int) else "address"], [value])


@pytest.mark.parametrize(("contract", "shape"), SHAPES, ids=lambda value: str(value)[:40])
def test_every_event_has_a_dataclass_with_its_fields(contract: str, shape: EventShape) -> None:
    kinds = {kind.__name__: kind for kind in CONTRACT_EVENTS[contract].__args__}
    names = [field.name for field in fields(kinds[shape.name])]
    assert names == ["log", *(name for name, _, _ in shape.fields)]


@pytest.mark.parametrize("contract", CONTRACT_EVENTS)
def test_no_dataclass_is_left_over(contract: str) -> None:
    names = {kind.__name__ for kind in CONTRACT_EVENTS[contract].__args__}
    assert names <= {shape.name for shape in interface(contract).events}


def raw(contract: str, event: str, indexed: list[bytes], types: list[str], values: Any) -> RawLog:
    (shape,) = (shape for shape in interface(contract).events if shape.name == event)
    return RawLog(KEY, TWO, (shape.topic, *indexed), encode(types, values))


def test_a_plain_event_is_decoded() -> None:
    log = raw("StakeVault", "StakeDeposited", [word(ONE)], ["uint256"], [77])
    assert decode_event(log) == StakeDeposited(KEY, ONE, Amount(77))


def test_a_query_comes_with_its_enumerations() -> None:
    query = example_query()
    log = raw("QueryMarket", "AttemptOpened", [word(1)], [QUERY_ABI], [query.as_abi()])
    event = decode_event(log)
    assert isinstance(event, AttemptOpened)
    assert event.query == query
    assert event.query.assurance is Assurance.AGREED
    assert event.query.privacy is Privacy.OPEN


def test_an_answer_comes_with_its_outcome() -> None:
    shard = (0, b"\1" * 32, b"\2" * 32, b"\3" * 32, 15)
    outcome = (b"\7" * 32, b"\6" * 32, b"\5" * 32, ONE, 99, [shard])
    kind = "(bytes32,bytes32,bytes32,address,uint256,(uint256,bytes32,bytes32,bytes32,uint256)[])"
    values = [2, b"output", outcome]
    indexed = [word(1), word(TWO)]
    log = raw("QueryMarket", "QueryFulfilled", indexed, ["uint256", "bytes", kind], values)
    event = decode_event(log)
    assert isinstance(event, QueryFulfilled)
    assert event.callback is CallbackResult.SUCCEEDED
    assert event.outcome.reporter == ONE
    assert outcome_from_abi(outcome_as_abi(event.outcome)) == event.outcome


def test_unknown_events_are_passed_over() -> None:
    assert decode_event(RawLog(KEY, TWO, (b"\0" * 32,), b"")) is None
    assert decode_event(RawLog(KEY, TWO, (), b"")) is None


def test_a_known_name_with_other_contents_is_incompatible() -> None:
    log = raw("StakeVault", "StakeDeposited", [word(ONE)], ["uint256"], [77])
    with pytest.raises(Incompatible):
        decode_event(RawLog(KEY, TWO, log.topics[:1], log.data))
    with pytest.raises(Incompatible):
        decode_event(RawLog(KEY, TWO, log.topics, b"\0" * 31))


def test_bytes_that_are_no_text_stop_nobody_who_reads_the_chain() -> None:
    topics, types = [word(ONE), word(TWO)], ["bytes32", "bytes"]
    values = [b"\7" * 32, b"http://\xff\xfe"]
    event = decode_event(raw("StakeVault", "OperatorRegistered", topics, types, values))
    assert isinstance(event, OperatorRegistered)
    assert event.endpoint == "http://\\xff\\xfe"
    record = encode(
        ["(address,bytes32,bytes32,uint256,bytes)"], [(TWO, bytes(32), bytes(32), 1, b"\xff")]
    )
    (operator,) = interface("StakeVault").function("operators", 1).decode(record)
    assert operator[-1] == "\\xff"


@pytest.mark.parametrize("garbage", [None, [], {}, {"topics": "0x"}, {"topics": []}])
def test_garbage_is_no_log(garbage: Any) -> None:
    with pytest.raises(Unavailable):
        raw_log(garbage)


def test_an_argument_that_does_not_fit_is_the_callers_mistake() -> None:
    order = Order(VersionId(bytes(33)), Assurance.AGREED, Privacy.OPEN, 4, Amount(1))
    market = Market.__new__(Market)
    market.address = ONE
    with pytest.raises(InvalidInput, match="request"):
        market.request(order, b"")
