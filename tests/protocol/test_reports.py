"""Reports as the row of words that the market takes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.ids import ZERO_DIGEST, Digest
from nesa.protocol.queries import ShardReport, SignedResult, report_words

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
