"""Requests, replies and statements: canonical, bounded, and good for one product of one query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from nesa.privacy.shared.session import ask
from nesa.privacy.shared.statements import is_signed, sign_sums, statement_of
from nesa.privacy.shared.wire import (
    ShareReply,
    ShareRequest,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    pack_sums,
    unpack_sums,
)
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import GroupSilent, InvalidMessage
from nesa.protocol.ids import Address, Digest, QueryId

from .parties import SESSION, Group, random_inputs

MEMBER = PrivateKey(b"\x01" * 32)
CONTEXT = SESSION.product(3)
WORDS = st.binary(min_size=32, max_size=32)
DIGESTS = Digest(b"\x05" * 32), Digest(b"\x06" * 32)


@given(st.integers(0, 2**16 - 1), st.integers(0, 9), WORDS, st.binary(max_size=50), st.booleans())
def test_requests_come_back(number, round_, seed, digits, seeded):
    request = ShareRequest(number, round_, seed if seeded else None, None if seeded else digits)
    assert decode_request(encode_request(request)) == request


@given(WORDS, WORDS, st.binary(max_size=50), WORDS, WORDS, WORDS)
def test_replies_come_back(in_digest, out_digest, sums, salt, r, vs):
    reply = ShareReply(Digest(in_digest), Digest(out_digest), sums, salt, r, vs)
    assert decode_reply(encode_reply(reply)) == reply


@given(st.binary(max_size=200))
def test_garbage_is_refused_by_name(data):
    for decode in (decode_request, decode_reply):
        with pytest.raises(InvalidMessage):
            decode(data)


@given(st.integers(-(2**24), 0), st.integers(0, 2**24), st.integers(1, 9), st.randoms())
def test_sums_come_back_in_as_few_bytes_as_their_range_needs(low, high, size, random):
    edge = EdgeType(DType.INT32, (1, size), low, high)
    sums = np.array([[random.randint(low, high) for _ in range(size)]])
    sums[0, 0], sums[0, -1] = low, high
    packed = pack_sums(edge, edge.encode(sums))
    assert np.array_equal(unpack_sums(edge, packed), sums)
    assert len(packed) == size * max(1, -(-(high - low).bit_length() // 8))


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, chain_id=1),
        replace(CONTEXT, market=Address("0x" + "22" * 20)),
        replace(CONTEXT, query_id=QueryId(CONTEXT.query_id + 1)),
        replace(CONTEXT, attempt=0),
        replace(CONTEXT, seed=DIGESTS[0]),
    ],
)
def test_a_statement_is_good_for_one_product_of_one_session(other):
    statement = sign_sums(MEMBER, CONTEXT, 0, *DIGESTS)
    assert is_signed(statement)
    said = statement.reveal
    for changed in (
        replace(said, context=other),
        replace(said, out_digest=DIGESTS[0]),
        replace(said, round=1),
    ):
        signature = (changed.salt, changed.r, changed.vs)
        digests = (changed.in_digest, changed.out_digest)
        claimed = statement_of(
            statement.signer, changed.context, changed.round, *digests, *signature
        )
        assert not is_signed(claimed)


async def test_a_reply_of_an_earlier_query_is_no_answer(mlp):
    pair = Group("first", mlp, 1), Group("second", mlp, 2)
    kept: dict[int, bytes] = {}

    def replaying(member, key):
        def answer(data: bytes) -> bytes:
            return kept.setdefault(decode_request(data).number, member.answer(data))

        return answer

    pair[0].replace(0, replaying)
    transports = pair[0].transport, pair[1].transport
    await ask(mlp, random_inputs(mlp, 0), transports, SESSION)
    assert len(kept) == len(mlp.plan.products)
    with pytest.raises(GroupSilent, match="about another share"):
        await ask(mlp, random_inputs(mlp, 0), transports, SESSION)
