"""What a member must not forget: enough to come back after a crash without contradicting itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from nesa.protocol import cbor
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.messages import Certificate, Lock, Propose, Reveal
from nesa.protocol.shapes import WORD, Shape, many, record
from nesa.protocol.wire import CERTIFICATE, LOCK, PAYLOAD, PROPOSE, REVEAL, ROUND, TENSORS
from nesa_miner.agreement.events import OwnResult

MAX_REVEALS: Final = 8


@dataclass(frozen=True, slots=True)
class Computed:
    """This member's result and the secret that its salts come from."""

    result: OwnResult
    entropy: bytes


@dataclass(frozen=True, slots=True)
class Joined:
    """The round that it committed to."""

    round: int


@dataclass(frozen=True, slots=True)
class Locked:
    """Its only lock of a round, and the proposal that it is for."""

    lock: Lock
    proposal: Propose


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate; before any reveal that rests on it."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Agreed:
    """The reveals that settled the shard, without tensors, and the tensors and payload once."""

    reveals: tuple[Reveal, ...]
    tensors: tuple[bytes, ...]
    payload: bytes


Record: TypeAlias = Computed | Joined | Locked | Certified | Agreed

_RESULT: Final = record(
    OwnResult,
    in_digest=WORD,
    out_digest=WORD,
    tensors=TENSORS,
    payload_hash=WORD,
    payload=PAYLOAD,
    tensors_in=TENSORS,
)

_KINDS: Final[dict[int, tuple[type, Shape[Any]]]] = {
    1: (Computed, record(Computed, result=_RESULT, entropy=WORD)),
    2: (Joined, record(Joined, round=ROUND)),
    3: (Locked, record(Locked, lock=LOCK, proposal=PROPOSE)),
    4: (Certified, record(Certified, certificate=CERTIFICATE)),
    5: (
        Agreed,
        record(Agreed, reveals=many(REVEAL, MAX_REVEALS), tensors=TENSORS, payload=PAYLOAD),
    ),
}
_NUMBERS: Final = {cls: kind for kind, (cls, _) in _KINDS.items()}


def encode_record(record_: Record) -> bytes:
    """Bytes for the journal."""
    kind = _NUMBERS[type(record_)]
    return cbor.encode([kind, _KINDS[kind][1].pack(record_)])


def decode_record(data: bytes) -> Record:
    """The record that `encode_record` took.

    Raises:
        InvalidMessage: not one of ours.
    """
    item = cbor.decode(data)
    if not isinstance(item, list) or len(item) != 2:
        raise InvalidMessage("a record is an array of kind and fields")
    kind, fields = item
    if not isinstance(kind, int) or kind not in _KINDS:
        raise InvalidMessage(f"there is no record of kind {kind!r}")
    decoded: Record = _KINDS[kind][1].unpack(fields)
    return decoded
