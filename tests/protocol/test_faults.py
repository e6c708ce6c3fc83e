"""Only what a member signed convicts it, and whoever was honest cannot be convicted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.commitments import (
    ShardContext,
    attestation_hash,
    commitment,
    set_digest,
)
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.faults import (
    MAX_FAULT_BYTES,
    Equivocation,
    Fault,
    Outvoted,
    decode_fault,
    encode_fault,
    faults_in,
    verify_fault,
)
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId
from nesa.protocol.messages import Reveal
from nesa.protocol.queries import MAX_REPLICAS
from nesa.protocol.signatures import sign_digest

SIZE = 4
KEYS = [PrivateKey(keccak(text=f"member {position}")) for position in range(SIZE)]
MEMBERS = [Address(key.public_key.to_checksum_address()) for key in KEYS]
CONTEXT = ShardContext(31337, Address("0x" + "11" * 20), QueryId(7), 0, Digest(b"\2" * 32), 1)
INPUT, OTHER_INPUT = Digest(b"\1" * 32), Digest(b"\3" * 32)
SALT = b"\5" * 32


def set_of(output: int, round_: int = 0, of: Digest = INPUT) -> tuple[Digest, ...]:
    """Commitments of a committee that agrees on an output."""
    digest = Digest(bytes([output]) * 32)
    return tuple(commitment(CONTEXT, round_, member, of, digest, SALT) for member in MEMBERS)


SETS = {
    set_digest(CONTEXT, round_, made): made
    for output in (8, 9)
    for round_ in (0, 1)
    for of in (INPUT, OTHER_INPUT)
    for made in [set_of(output, round_, of)]
}


def said(
    position: int, output: int, *, round_: int = 0, of: Digest = INPUT, by: int | None = None
) -> Reveal:
    """The statement of a member, signed by it unless `by` names another."""
    digest = Digest(bytes([output]) * 32)
    joined = set_digest(CONTEXT, round_, set_of(output, round_, of))
    bare = Reveal(CONTEXT, round_, position, SALT, of, digest, ZERO_DIGEST, joined, b"", b"")
    signed = attestation_hash(CONTEXT.chain_id, CONTEXT.market, bare.attestation)
    r, vs = sign_digest(KEYS[position if by is None else by], signed)
    return replace(bare, r=r, vs=vs)


def twofold(first: Reveal, second: Reveal) -> Equivocation:
    """Both statements with the sets that they open."""
    return Equivocation(first, second, SETS[first.set_digest], SETS[second.set_digest])


def named(faults: tuple[Fault, ...]) -> set[tuple[str, int]]:
    return {(type(fault).__name__, fault.position) for fault in faults}


def test_who_differs_from_a_quorum_is_named() -> None:
    faults = faults_in(
        SIZE, sets=SETS, reveals=[said(3, 9), *(said(place, 8) for place in range(3))]
    )
    assert named(faults) == {("Outvoted", 3)}
    for fault in faults:
        verify_fault(MEMBERS, fault)
        assert decode_fault(encode_fault(fault)) == fault


def test_who_signs_two_outputs_is_named_without_any_quorum() -> None:
    faults = faults_in(SIZE, sets=SETS, reveals=[said(2, 9), said(2, 8, round_=1)])
    assert named(faults) == {("Equivocation", 2)}
    verify_fault(MEMBERS, faults[0])


def test_a_split_names_nobody() -> None:
    assert (
        faults_in(SIZE, sets=SETS, reveals=[said(0, 8), said(1, 8), said(2, 9), said(3, 9)]) == ()
    )


def test_work_on_another_input_names_nobody() -> None:
    right = [said(place, 8) for place in range(3)]
    assert faults_in(SIZE, sets=SETS, reveals=[*right, said(3, 9, of=OTHER_INPUT)]) == ()


def test_two_quorums_convict_those_in_both_alone() -> None:
    one = [said(place, 8) for place in (0, 1, 2)]
    other = [said(place, 9, round_=1) for place in (1, 2, 3)]
    assert named(faults_in(SIZE, sets=SETS, reveals=one + other)) == {
        ("Equivocation", 1),
        ("Equivocation", 2),
    }


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(8, 9), st.integers(0, 1)), max_size=8, unique=True
    )
)
def test_members_who_say_one_thing_are_never_convicted_of_two(
    statements: list[tuple[int, int, int]],
) -> None:
    faults = faults_in(
        SIZE,
        sets=SETS,
        reveals=[said(place, out, round_=round_) for place, out, round_ in statements],
    )
    for fault in faults:
        verify_fault(MEMBERS, fault)
        outputs = {out for place, out, _ in statements if place == fault.position}
        assert isinstance(fault, Outvoted) or outputs == {8, 9}


AGREED = tuple(said(place, 8) for place in range(3))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (twofold(said(2, 9), said(2, 8, round_=1, by=0)), "not signed by member 2"),
        (twofold(said(2, 9), said(1, 8)), "convict nobody"),
        (twofold(said(2, 9), said(2, 9, round_=1)), "convict nobody"),
        (replace(twofold(said(2, 9), said(2, 8)), first_set=set_of(8)), "for another set"),
        (twofold(said(2, 9), replace(said(2, 8), salt=b"\6" * 32)), "opens no commitment"),
        (Outvoted(said(3, 9), AGREED[:2]), "convict nobody"),
        (Outvoted(said(3, 9), (AGREED[0],) * 3), "convict nobody"),
        (Outvoted(said(3, 8), AGREED), "convict nobody"),
        (Outvoted(said(3, 9, by=0), AGREED), "not signed by member 3"),
        (Outvoted(said(3, 9, of=OTHER_INPUT), AGREED), "convict nobody"),
        (Outvoted(replace(said(3, 9), position=4), AGREED), "no member at position 4"),
        (
            Outvoted(replace(said(3, 9), context=replace(CONTEXT, shard=0)), AGREED),
            "about different work",
        ),
    ],
)
def test_what_does_not_convict_is_refused(fault: Fault, words: str) -> None:
    with pytest.raises(InvalidMessage, match=words):
        verify_fault(MEMBERS, fault)


def test_a_fault_of_two_outputs_survives_its_encoding() -> None:
    fault = twofold(said(2, 9), said(2, 8, round_=1))
    assert decode_fault(encode_fault(fault)) == fault


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x83\x01\x09\x80", b"\x83\x02\x01\x80"])
def test_bytes_that_are_no_fault_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode_fault(data)


def test_the_largest_fault_is_far_below_the_limit_and_longer_bytes_are_refused() -> None:
    largest = Outvoted(said(3, 9), (said(0, 8),) * MAX_REPLICAS)
    assert 2 * len(encode_fault(largest)) < MAX_FAULT_BYTES
    with pytest.raises(InvalidMessage, match="over the limit"):
        decode_fault(bytes(MAX_FAULT_BYTES + 1))
