"""Messages as bytes: canonical CBOR arrays that begin with the version and the kind."""

from __future__ import annotations

from typing import Any, Final

from nesa.protocol import cbor
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION
from nesa.protocol.messages import (
    MAX_CARRIED_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_SHARE_BYTES,
    MAX_TENSOR_BYTES,
    MAX_TRAINING_BYTES,
    MAX_WRAPPED_BYTES,
    Certificate,
    Commit,
    ContentKey,
    Handoff,
    Inquiry,
    Lock,
    Message,
    PartRequest,
    Propose,
    Reveal,
    SessionReply,
    SessionRequest,
    ShardKey,
    ShardKeyRequest,
    TensorPart,
    TrainingReply,
    TrainingRequest,
)
from nesa.protocol.queries import MAX_REPLICAS, SignedResult
from nesa.protocol.shapes import ADDRESS, WORD, Shape, blob, many, record, uint
from nesa.protocol.versions import MAX_EDGES

CONTEXT: Final = record(
    ShardContext,
    chain_id=uint(64),
    market=ADDRESS,
    query_id=uint(64),
    attempt=uint(32),
    seed=WORD,
    shard=uint(8),
)
ROUND: Final = uint(32)
POSITION: Final = uint(3)
COMMITMENTS: Final = many(WORD, MAX_REPLICAS, 1)
TENSORS: Final = many(blob(MAX_TENSOR_BYTES), MAX_EDGES)
PAYLOAD: Final = blob(MAX_PAYLOAD_BYTES)
RESULT: Final = record(SignedResult, position=POSITION, salt=WORD, r=WORD, vs=WORD)
RESULTS: Final = many(RESULT, MAX_REPLICAS)

COMMIT: Final = record(
    Commit, context=CONTEXT, round=ROUND, position=POSITION, commitment=WORD, r=WORD, vs=WORD
)
PROPOSE: Final = record(
    Propose, context=CONTEXT, round=ROUND, commits=many(COMMIT, MAX_REPLICAS, 1)
)
LOCK: Final = record(
    Lock, context=CONTEXT, round=ROUND, position=POSITION, set_digest=WORD, r=WORD, vs=WORD
)
CERTIFICATE: Final = record(
    Certificate,
    context=CONTEXT,
    round=ROUND,
    commitments=COMMITMENTS,
    locks=many(LOCK, MAX_REPLICAS, 1),
)
REVEAL: Final = record(
    Reveal,
    context=CONTEXT,
    round=ROUND,
    position=POSITION,
    salt=WORD,
    in_digest=WORD,
    out_digest=WORD,
    payload_hash=WORD,
    set_digest=WORD,
    r=WORD,
    vs=WORD,
    tensors=TENSORS,
    payload=PAYLOAD,
)
INQUIRY: Final = record(Inquiry, context=CONTEXT, round=ROUND)
HANDOFF: Final = record(
    Handoff,
    context=CONTEXT,
    round=ROUND,
    in_digest=WORD,
    out_digest=WORD,
    commitments=COMMITMENTS,
    results=RESULTS,
    tensors=TENSORS,
)
PART_REQUEST: Final = record(PartRequest, context=CONTEXT, out_digest=WORD, offset=uint(32))
TENSOR_PART: Final = record(
    TensorPart, context=CONTEXT, out_digest=WORD, offset=uint(32), data=blob(MAX_CARRIED_BYTES)
)
CONTENT_KEY: Final = record(
    ContentKey,
    chain_id=uint(64),
    market=ADDRESS,
    query_id=uint(64),
    attempt=uint(32),
    wrapped=blob(MAX_WRAPPED_BYTES),
)

SHARD_KEY_REQUEST: Final = record(ShardKeyRequest, version_id=WORD, shard=uint(8))
SHARD_KEY: Final = record(ShardKey, version_id=WORD, shard=uint(8), key=WORD)

SESSION_REQUEST: Final = record(
    SessionRequest,
    session_id=uint(64),
    amount=uint(64),
    r=WORD,
    vs=WORD,
    reply_key=WORD,
    body=blob(MAX_SHARE_BYTES),
)
SESSION_REPLY: Final = record(
    SessionReply, session_id=uint(64), paid=uint(64), body=blob(MAX_SHARE_BYTES)
)

TRAINING_REQUEST: Final = record(TrainingRequest, reply_key=WORD, body=blob(MAX_TRAINING_BYTES))
TRAINING_REPLY: Final = record(TrainingReply, body=blob(MAX_TRAINING_BYTES))

_KINDS: Final[dict[int, tuple[type, Shape[Any]]]] = {
    1: (Commit, COMMIT),
    2: (Propose, PROPOSE),
    3: (Lock, LOCK),
    4: (Certificate, CERTIFICATE),
    5: (Reveal, REVEAL),
    6: (Inquiry, INQUIRY),
    7: (Handoff, HANDOFF),
    8: (ContentKey, CONTENT_KEY),
    9: (PartRequest, PART_REQUEST),
    10: (TensorPart, TENSOR_PART),
    11: (ShardKeyRequest, SHARD_KEY_REQUEST),
    12: (ShardKey, SHARD_KEY),
    13: (SessionRequest, SESSION_REQUEST),
    14: (SessionReply, SESSION_REPLY),
    15: (TrainingRequest, TRAINING_REQUEST),
    16: (TrainingReply, TRAINING_REPLY),
}
_NUMBERS: Final = {cls: kind for kind, (cls, _) in _KINDS.items()}


def encode_message(message: Message) -> bytes:
    """Canonical bytes of `message`.

    Raises:
        InvalidMessage: a field is out of its bounds, or the whole is over the size limit.
    """
    kind = _NUMBERS[type(message)]
    data = cbor.encode([PROTOCOL_VERSION, kind, _KINDS[kind][1].pack(message)])
    if len(data) > MAX_MESSAGE_BYTES:
        raise InvalidMessage(f"{len(data)} bytes are over the limit of {MAX_MESSAGE_BYTES}")
    return data


def decode_message(data: bytes) -> Message:
    """The message that `data` is the canonical encoding of.

    Raises:
        InvalidMessage: too long, not canonical, another version, or a field that does not fit.
    """
    item = cbor.decode(data, MAX_MESSAGE_BYTES)
    if not isinstance(item, list) or len(item) != 3:
        raise InvalidMessage("a message is an array of version, kind and fields")
    version, kind, fields = item
    if version != PROTOCOL_VERSION:
        raise InvalidMessage(f"protocol version {version!r} is not {PROTOCOL_VERSION}")
    if not isinstance(kind, int) or kind not in _KINDS:
        raise InvalidMessage(f"there is no message of kind {kind!r}")
    message: Message = _KINDS[kind][1].unpack(fields)
    return message
