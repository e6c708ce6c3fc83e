"""Messages on the wire: one encoding each, and nothing else is understood."""

from __future__ import annotations

import contextlib

import cbor2
import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol import cbor
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import (
    MAX_PIECES,
    ShardEvidence,
    decode_evidence,
    decode_pieces,
    encode_evidence,
)
from nesa.protocol.ids import Address, Amount, Digest, QueryId, VersionId
from nesa.protocol.messages import (
    MAX_MESSAGE_BYTES,
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
from nesa.protocol.queries import SignedResult
from nesa.protocol.wire import decode_message, encode_message

words = st.binary(min_size=32, max_size=32).map(Digest)


def _checksummed(data: bytes) -> Address:
    return Address(to_checksum_address(data))


addresses = st.binary(min_size=20, max_size=20).map(_checksummed)
u64 = st.integers(1, 2**64 - 1)
u32 = st.integers(0, 2**32 - 1)
positions = st.integers(0, 7)
contexts = st.builds(
    ShardContext, u64, addresses, u64.map(QueryId), u32, words, st.integers(0, 255)
)
commits = st.builds(Commit, contexts, u32, positions, words, words, words)
locks = st.builds(Lock, contexts, u32, positions, words, words, words)
sets = st.lists(words, min_size=1, max_size=8).map(tuple)
tensors = st.lists(st.binary(max_size=40), max_size=4).map(tuple)
results = st.lists(st.builds(SignedResult, positions, words, words, words), max_size=8).map(tuple)
messages = st.one_of(
    commits,
    locks,
    st.builds(Propose, contexts, u32, st.lists(commits, min_size=1, max_size=8).map(tuple)),
    st.builds(Certificate, contexts, u32, sets, st.lists(locks, min_size=1, max_size=8).map(tuple)),
    st.builds(Reveal, contexts, u32, positions, *[words] * 7, tensors, st.binary(max_size=50)),
    st.builds(Inquiry, contexts, u32),
    st.builds(Handoff, contexts, u32, words, words, sets, results, tensors),
    st.builds(PartRequest, contexts, words, u32),
    st.builds(TensorPart, contexts, words, u32, st.binary(max_size=300)),
    st.builds(
        SessionRequest,
        u64.map(QueryId),
        u64.map(Amount),
        words,
        words,
        words,
        st.binary(max_size=40),
    ),
    st.builds(SessionReply, u64.map(QueryId), u64.map(Amount), st.binary(max_size=40)),
    st.builds(TrainingRequest, words, st.binary(max_size=40)),
    st.builds(TrainingReply, st.binary(max_size=40)),
    st.builds(ShardKeyRequest, words.map(VersionId), st.integers(0, 255)),
    st.builds(ShardKey, words.map(VersionId), st.integers(0, 255), words),
    st.builds(ContentKey, u64, addresses, u64.map(QueryId), u32, st.binary(max_size=128)),
)
evidences = st.builds(
    ShardEvidence,
    u32,
    words,
    words,
    sets,
    results,
    st.binary(max_size=50),
    tensors,
    tensors,
    st.none() | st.binary(max_size=50),
)
INQUIRY = Inquiry(
    ShardContext(1, _checksummed(b"\x11" * 20), QueryId(2), 0, Digest(bytes(32)), 0), 3
)


@given(messages)
def test_every_message_comes_back_as_it_went(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


@given(evidences)
def test_evidence_comes_back_as_it_went(evidence: ShardEvidence) -> None:
    assert decode_evidence(encode_evidence(evidence)) == evidence


@given(st.lists(evidences, min_size=1, max_size=3))
def test_several_pieces_of_evidence_fit_in_one_body(pieces: list[ShardEvidence]) -> None:
    assert decode_pieces(encode_evidence(*pieces)) == tuple(pieces)


@given(evidences)
def test_a_body_holds_some_evidence_but_not_any_number(evidence: ShardEvidence) -> None:
    for number in (0, MAX_PIECES + 1):
        with pytest.raises(InvalidMessage, match="1 to 32 pieces"):
            decode_pieces(encode_evidence(*[evidence] * number))
    with pytest.raises(InvalidMessage, match="2 pieces"):
        decode_evidence(encode_evidence(evidence, evidence))


@given(messages)
def test_encoding_is_canonical_cbor(message: Message) -> None:
    data = encode_message(message)
    assert cbor2.dumps(cbor2.loads(data), canonical=True) == data


@given(messages, st.data())
def test_a_changed_byte_is_refused_or_another_message(
    message: Message, data: st.DataObject
) -> None:
    encoded = bytearray(encode_message(message))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(InvalidMessage):
        assert decode_message(bytes(encoded)) != message


@given(st.binary(max_size=200))
def test_garbage_is_refused_with_one_error(data: bytes) -> None:
    try:
        decoded = decode_message(data)
    except InvalidMessage:
        return
    assert encode_message(decoded) == data


items = st.recursive(
    st.none() | st.integers(0, 2**64 - 1) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=8,
)


@given(items)
def test_the_decoder_reads_what_the_library_writes(item: cbor.Item) -> None:
    assert cbor.decode(cbor2.dumps(item, canonical=True)) == item


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ([2, 6, []], "protocol version 2"),
        ([1, 99, []], "no message of kind 99"),
        ([1, b"x", []], "no message of kind"),
        ([1, 6], "array of version, kind and fields"),
        ([1, 6, [None, 3]], "Inquiry.context ShardContext is not an array of 6 fields"),
        ([1, 6, [[1, b"\x11" * 19, 2, 0, bytes(32), 0], 3]], "ShardContext.market is not 20 bytes"),
        ([1, 6, [[1, b"\x11" * 20, 2, 0, bytes(31), 0], 3]], "ShardContext.seed is not 32 bytes"),
        ([1, 6, [[1, b"\x11" * 20, 2, 0, bytes(32), 256], 3]], "ShardContext.shard is not an int"),
        ([1, 6, [[1, b"\x11" * 20, 2, 0, bytes(32), 0], b""]], "Inquiry.round is not an integer"),
        ([1, 6, [[1, b"\x11" * 20, 2, 0, bytes(32), 0], 3, 4]], "Inquiry is not an array of 2"),
    ],
)
def test_a_wrong_field_is_named(item: cbor.Item, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        decode_message(cbor.encode(item))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode_message(INQUIRY) + b"\x00", "1 bytes follow"),
        (encode_message(INQUIRY)[:-1], "ends early"),
        (b"", "ends early"),
        (b"\x83\x18\x01\x06\x80", "not canonical"),  # version 1 in two bytes
        (b"\x9f\x01\x06\x80\xff", "definite"),
        (b"\x83\x01\x06\xa0", "major type 5"),  # a map
        (b"\xc1\x01", "major type 6"),  # a date
        (b"\x9b" + b"\xff" * 8, "over the limit"),  # 2**64 elements
        (b"\x5b" + b"\xff" * 8, "ends early"),  # 2**64 bytes
        (b"\x81" * 1000, "nested"),
        (bytes(MAX_MESSAGE_BYTES + 1), "over the limit"),
    ],
)
def test_malformed_bytes_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        decode_message(data)


def test_a_field_out_of_bounds_is_not_encoded() -> None:
    with pytest.raises(InvalidMessage, match="Inquiry.round"):
        encode_message(Inquiry(INQUIRY.context, 2**32))


def test_a_message_over_the_limit_is_not_encoded() -> None:
    handoff = Handoff(
        INQUIRY.context,
        0,
        Digest(bytes(32)),
        Digest(bytes(32)),
        (Digest(bytes(32)),),
        (),
        (bytes(3 << 20), bytes(3 << 20)),
    )
    with pytest.raises(InvalidMessage, match="over the limit"):
        encode_message(handoff)
