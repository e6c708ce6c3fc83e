"""Events as bytes for a journal: the logs that they were."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from eth_abi.abi import decode, encode

from nesa.chain.abi import EventShape, interface
from nesa.chain.contracts import ZERO_ADDRESS
from nesa.chain.events import CONTRACT_EVENTS, ChainEvent, LogKey, RawLog, decode_event
from nesa.protocol.errors import Incompatible
from nesa.protocol.ids import BlockNumber, Digest
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Outcome

_STORED: Final = ["uint256", "uint256", "bytes32", "bytes32", "bytes32[]", "bytes"]


def encode_event(event: ChainEvent) -> bytes:
    """Bytes for a journal."""
    shape = _shapes()[type(event).__name__]
    values = {name: _plain(getattr(event, name)) for name, _, _ in shape.fields}
    key, (topics, data) = event.log, shape.encode(values)
    head = (key.block_number, key.log_index, key.block_hash, key.tx_hash)
    return encode(_STORED, [*head, topics, data])


def decode_stored_event(body: bytes) -> ChainEvent:
    """The event that `encode_event` took.

    Raises:
        Incompatible: another release stored it.
    """
    number, index, block_hash, tx_hash, topics, data = decode(_STORED, body)
    key = LogKey(BlockNumber(number), index, Digest(block_hash), Digest(tx_hash))
    event = decode_event(RawLog(key, ZERO_ADDRESS, tuple(topics), data))
    if event is None:
        raise Incompatible("the journal holds an event that this release does not know")
    return event


@cache
def _shapes() -> Mapping[str, EventShape]:
    shapes = (shape for contract in CONTRACT_EVENTS for shape in interface(contract).events)
    return {shape.name: shape for shape in shapes}


def _plain(value: Any) -> Any:
    """A field as the contract has it."""
    if isinstance(value, Outcome):
        return outcome_as_abi(value)
    return value.as_abi() if hasattr(value, "as_abi") else value
