"""Sealed queries: who can read what, and what digests give away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nesa.privacy.keys import generate_key, public_key
from nesa.privacy.sealing import (
    OVERHEAD_BYTES,
    WrapContext,
    blind,
    open_answer,
    open_input,
    seal_answer,
    seal_input,
    seal_to,
    unwrap_content_key,
    wrap_content_key,
)
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import Address, Digest, QueryId, VersionId

KEY = b"\x01" * 32
OTHER_KEY = b"\x02" * 32
VERSION = VersionId(b"\x03" * 32)
OTHER_VERSION = VersionId(b"\x04" * 32)
INPUT = Digest(b"\x05" * 32)
CONTEXT = WrapContext(31337, Address("0x" + "11" * 20), QueryId(1), 0, Address("0x" + "22" * 20))


def test_a_member_with_the_content_key_reads_the_input() -> None:
    ciphertext = seal_input(KEY, VERSION, b"an input")
    assert open_input(KEY, VERSION, ciphertext) == b"an input"
    assert len(ciphertext) == len(b"an input") + OVERHEAD_BYTES


@pytest.mark.parametrize(("key", "version"), [(OTHER_KEY, VERSION), (KEY, OTHER_VERSION)])
def test_an_input_opens_only_with_its_key_and_version(key: bytes, version: VersionId) -> None:
    with pytest.raises(InvalidMessage):
        open_input(key, version, seal_input(KEY, VERSION, b"an input"))


@pytest.mark.parametrize("place", [0, 12, -1])
def test_a_changed_ciphertext_does_not_open(place: int) -> None:
    changed = bytearray(seal_input(KEY, VERSION, b"an input"))
    changed[place] ^= 1
    with pytest.raises(InvalidMessage):
        open_input(KEY, VERSION, bytes(changed))


@pytest.mark.parametrize("ciphertext", [b"", b"short", bytes(28)])
def test_a_short_ciphertext_does_not_open(ciphertext: bytes) -> None:
    with pytest.raises(InvalidMessage):
        open_input(KEY, VERSION, ciphertext)


def test_all_honest_members_seal_the_same_answer_to_the_same_bytes() -> None:
    answers = {seal_answer(KEY, VERSION, INPUT, b"\x01\x02") for _ in range(5)}
    assert len(answers) == 1
    assert open_answer(KEY, VERSION, INPUT, answers.pop()) == b"\x01\x02"


def test_two_answers_never_share_a_nonce() -> None:
    nonces = {seal_answer(KEY, VERSION, INPUT, bytes([n]))[:12] for n in range(256)}
    assert len(nonces) == 256


def test_an_answer_opens_only_for_its_input() -> None:
    with pytest.raises(InvalidMessage):
        open_answer(KEY, VERSION, Digest(bytes(32)), seal_answer(KEY, VERSION, INPUT, b"answer"))


def test_an_input_cannot_be_passed_off_as_an_answer() -> None:
    with pytest.raises(InvalidMessage):
        open_answer(KEY, VERSION, INPUT, seal_input(KEY, VERSION, b"an input"))


def test_a_content_key_reaches_the_member_that_it_is_for() -> None:
    member = generate_key()
    wrapped = wrap_content_key(KEY, member.public_key(), CONTEXT)
    assert unwrap_content_key(wrapped, member, CONTEXT) == KEY


def test_a_member_outside_the_committee_cannot_open_the_key() -> None:
    wrapped = wrap_content_key(KEY, generate_key().public_key(), CONTEXT)
    with pytest.raises(InvalidMessage):
        unwrap_content_key(wrapped, generate_key(), CONTEXT)


@pytest.mark.parametrize(
    "context",
    [
        replace(CONTEXT, chain_id=1),
        replace(CONTEXT, market=Address("0x" + "33" * 20)),
        replace(CONTEXT, query_id=QueryId(2)),
        replace(CONTEXT, attempt=1),
        replace(CONTEXT, member=Address("0x" + "33" * 20)),
    ],
)
def test_a_wrapped_key_does_not_serve_another_query_attempt_or_member(context: WrapContext) -> None:
    member = generate_key()
    wrapped = wrap_content_key(KEY, member.public_key(), CONTEXT)
    with pytest.raises(InvalidMessage):
        unwrap_content_key(wrapped, member, context)


@pytest.mark.parametrize("wrapped", [b"", bytes(32), bytes(80), bytes(1000)])
def test_garbage_is_no_wrapped_key(wrapped: bytes) -> None:
    with pytest.raises(InvalidMessage):
        unwrap_content_key(wrapped, generate_key(), CONTEXT)


def test_a_content_key_has_32_bytes() -> None:
    with pytest.raises(InvalidInput):
        seal_input(b"short", VERSION, b"an input")


def test_every_boundary_has_its_own_blind() -> None:
    blinds = {blind(KEY, boundary) for boundary in range(9)} | {blind(OTHER_KEY, 0)}
    assert len(blinds) == 10


def test_nothing_is_wrapped_to_a_key_of_low_order() -> None:
    with pytest.raises(InvalidMessage, match="nothing can be encrypted"):
        wrap_content_key(KEY, public_key(b"\x01" + bytes(31)), CONTEXT)


def test_a_key_is_wrapped_to_many_and_never_twice_alike() -> None:
    member = generate_key()
    first, second = (wrap_content_key(KEY, member.public_key(), CONTEXT) for _ in range(2))
    assert first != second
    assert unwrap_content_key(first, member, CONTEXT) == KEY
    assert unwrap_content_key(second, member, CONTEXT) == KEY


def test_a_former_key_opens_its_wrappings_and_no_others() -> None:
    former, newest = generate_key(), generate_key()
    wrapped = wrap_content_key(KEY, former.public_key(), CONTEXT)
    assert unwrap_content_key(wrapped, newest, CONTEXT, [generate_key(), former]) == KEY
    for context in (replace(CONTEXT, query_id=QueryId(2)), replace(CONTEXT, attempt=1)):
        with pytest.raises(InvalidMessage, match="not wrapped for this member and query"):
            unwrap_content_key(wrapped, newest, context, [former])


def test_a_wrapping_that_was_cut_off_or_changed_is_refused() -> None:
    member = generate_key()
    wrapped = wrap_content_key(KEY, member.public_key(), CONTEXT)
    changed = [
        bytes(byte ^ (place == at) for at, byte in enumerate(wrapped)) for place in range(80)
    ]
    for garbage in (*(wrapped[:length] for length in range(len(wrapped))), *changed, wrapped * 2):
        with pytest.raises(InvalidMessage):
            unwrap_content_key(garbage, member, CONTEXT, [generate_key()])


LOW_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
"""Points with which every key agrees on the same secret."""


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_wrapping_that_any_key_would_open_is_refused(point: str) -> None:
    wrapped = wrap_content_key(KEY, (member := generate_key()).public_key(), CONTEXT)
    with pytest.raises(InvalidMessage):
        unwrap_content_key(bytes.fromhex(point) + wrapped[32:], member, CONTEXT)


def test_a_wrapped_key_of_another_length_is_refused() -> None:
    member = generate_key()
    for key in (b"", KEY[:31], KEY + b"\0"):
        wrapped = seal_to(member.public_key(), key, CONTEXT.info())
        with pytest.raises(InvalidMessage, match="a content key has 32 bytes"):
            unwrap_content_key(wrapped, member, CONTEXT)
