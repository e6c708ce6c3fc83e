"""Reports as the row of words that the market takes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import Reported, ShardEvidence
from nesa.protocol.faults import statements_in, verify_statement
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId
from nesa.protocol.queries import ShardReport, SignedResult, report_words
from tests.reports import Work, keys_of, signer_address

WORDS = st.binary(min_size=32, max_size=32)


def word(number: int) -> Digest:
    return Digest(number.to_bytes(32, "big"))


def result(position: int) -> SignedResult:
    return SignedResult(position, *(word(100 * position + part) for part in (1, 2, 3)))


AGREED = ShardReport(
    round=5,
    out_digest=word(9),
    commitments=(word(10), word(11), ZERO_DIGEST, word(13)),
    results=(result(0), result(1), result(3)),
)


def test_paid_members_leave_their_commitments_out() -> None:
    head = word(5 << 8 | 0b1011)
    results = [word(n) for n in (1, 2, 3, 101, 102, 103, 301, 302, 303)]
    assert report_words([AGREED]) == [head, word(9), ZERO_DIGEST, *results]


def test_an_unpaid_member_shows_its_commitment() -> None:
    two = replace(AGREED, results=(result(1), result(3)))
    assert report_words([two])[:4] == [word(5 << 8 | 0b1010), word(9), word(10), ZERO_DIGEST]


def test_a_spare_stands_for_the_set_of_one() -> None:
    spare = ShardReport(0, word(9), (word(10),), (result(2),))
    assert report_words([spare]) == [word(0b100), word(9), word(201), word(202), word(203)]


def test_shards_follow_each_other() -> None:
    both = report_words([AGREED, replace(AGREED, round=6)])
    assert both == [*report_words([AGREED]), *report_words([replace(AGREED, round=6)])]


@given(
    commitments=st.lists(WORDS, min_size=1, max_size=8),
    paid=st.integers(0, 255),
    round_=st.integers(0, 2**32),
)
def test_every_shard_has_the_length_that_the_contract_expects(
    commitments: list[bytes], paid: int, round_: int
) -> None:
    places = [place for place in range(len(commitments)) if paid >> place & 1]
    shard = ShardReport(
        round_, word(1), tuple(map(Digest, commitments)), tuple(result(p) for p in places)
    )
    words = shard.words()
    assert len(words) == 2 + len(commitments) - len(places) + 3 * len(places)
    assert int.from_bytes(words[0], "big") >> 8 == round_


KEYS = tuple(keys_of(["a", "b", "c", "d"]).values())
MEMBERS = tuple(map(signer_address, KEYS))
CONTEXT = ShardContext(31337, Address("0x" + "11" * 20), QueryId(7), 0, Digest(b"\2" * 32), 0)
WORK = Work(CONTEXT, KEYS, Digest(b"\3" * 32), Digest(b"\4" * 32), round=2)


def read(words: Sequence[bytes], entries: int = 4) -> tuple[ShardEvidence, Sequence[bytes]]:
    return Reported(CONTEXT, MEMBERS, entries, WORK.in_digest).read(words)


@pytest.mark.parametrize(
    ("signers", "absent"), [((0, 1, 2, 3), ()), ((0, 2, 3), ()), ((1, 2, 3), (0,)), ((3,), (1, 2))]
)
def test_what_was_reported_is_read_again(signers: tuple[int, ...], absent: tuple[int, ...]) -> None:
    report = WORK.report(signers, absent)
    evidence, rest = read([*report_words([report]), word(5)])
    assert evidence.report() == report
    assert rest == [word(5)]
    for said in statements_in(CONTEXT, evidence):
        verify_statement(MEMBERS, said, evidence.commitments)


def test_a_spare_provers_report_is_read_again() -> None:
    """Its set has one entry, and its place is beyond it."""
    alone = replace(WORK, members=KEYS[2:3])
    report = replace(alone.report(), results=(alone.result(0, alone.commitments(), slot=2),))
    evidence, rest = read(report_words([report]), entries=1)
    assert (evidence.report(), list(rest)) == (report, [])
    (said,) = statements_in(CONTEXT, evidence)
    verify_statement(MEMBERS, said, evidence.commitments)


@pytest.mark.parametrize("length", range(8))
def test_a_report_that_ends_too_early_is_refused(length: int) -> None:
    words = report_words([WORK.report((0, 1))])
    with pytest.raises(InvalidMessage):
        read(words[:length])


def test_nobody_but_members_is_paid() -> None:
    words = report_words([WORK.report((0, 1))])
    with pytest.raises(InvalidMessage):
        read([word(2 << 8 | 0b10011), *words[1:], *words[-6:]])
