"""Evidence becomes the fullest report, and everything that the chain would refuse is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.circuits import ShownEdge
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Digest, Timestamp
from nesa.protocol.queries import Assurance, Privacy, ShardReport
from nesa_oracle.checks import Case, check_member_evidence, check_output, check_report
from nesa_oracle.proofs.selection import (
    Proved,
    proved_path,
    proved_report,
    shown_inputs,
    tensors_of,
)
from nesa_oracle.report import Report, agreed_report, chained, merged
from tests.oracle.cases import case_of, works_of
from tests.oracle.network import EDGES, TENSORS, evidence_of

NOW = Timestamp(1_010)
CASE = case_of()
PROVED = case_of(Assurance.PROVED)


def evidence(
    shard: int, signers: Sequence[int] = (0, 1, 2, 3), round_: int = 0, case: Case = CASE
) -> ShardEvidence:
    work = works_of(case, round_=round_)[shard]
    return evidence_of(work, work.report(signers=list(signers)))


def full_report() -> Report:
    report = agreed_report(CASE.query, {0: [evidence(0)], 1: [evidence(1)]})
    assert report is not None
    return report


def with_part(report: Report, shard: int, **changes: object) -> Report:
    parts = list(report.shards)
    parts[shard] = replace(parts[shard], **changes)  # type: ignore[arg-type]
    return replace(report, shards=tuple(parts))


@given(st.lists(st.sets(st.integers(0, 3), min_size=3), min_size=1, max_size=5))
def test_merging_keeps_every_result_of_a_set(shown: list[set[int]]) -> None:
    (united,) = merged(evidence(0, sorted(signers)) for signers in shown)
    positions = [result.position for result in united.results]
    assert positions == sorted(set().union(*shown))


def test_results_of_different_sets_are_never_mixed() -> None:
    found = merged([evidence(0, (0, 1, 2)), evidence(0, round_=1)])
    assert [(one.round, len(one.results)) for one in found] == [(1, 4), (0, 3)]


def test_a_report_needs_every_shard() -> None:
    assert agreed_report(CASE.query, {0: [evidence(0)]}) is None
    assert agreed_report(CASE.query, {}) is None


def test_shards_that_do_not_go_on_from_each_other_make_no_report() -> None:
    other = replace(evidence(1), in_digest=Digest(bytes(32)))
    assert agreed_report(CASE.query, {0: [evidence(0)], 1: [other]}) is None
    found = {0: [evidence(0)], 1: [other, evidence(1, (0, 1, 2))]}
    report = agreed_report(CASE.query, found)
    assert report is not None
    assert report.paid == 7


def test_dead_ends_do_not_make_a_path_slow() -> None:
    """Eight shards with ten candidates each, none of which reaches the last one's beginning."""
    stuck = replace(evidence(0), out_digest=CASE.query.input_digest)
    assert chained(CASE.query.input_digest, [[stuck] * 10] * 8 + [[evidence(1)]]) is None


def test_a_full_report_has_everybody_who_committed() -> None:
    assert full_report().is_full
    partial = agreed_report(CASE.query, {0: [evidence(0, (0, 1, 2))], 1: [evidence(1)]})
    assert partial is not None
    assert not partial.is_full


def test_an_honest_report_passes() -> None:
    check_report(CASE, full_report(), NOW)


def first_result_with(report: Report, **changes: object) -> Report:
    first, *rest = report.shards[0].results
    return with_part(report, 0, results=(replace(first, **changes), *rest))  # type: ignore[arg-type]


REFUSED = {
    "a shard too few": lambda r: replace(r, shards=r.shards[:1]),
    "no quorum": lambda r: with_part(r, 0, results=r.shards[0].results[:2]),
    "results out of order": lambda r: with_part(r, 0, results=r.shards[0].results[::-1]),
    "a result twice": lambda r: with_part(r, 0, results=(r.shards[0].results[0],) * 4),
    "another salt": lambda r: first_result_with(r, salt=bytes(32)),
    "another signature": lambda r: first_result_with(r, r=r.shards[0].results[1].r),
    "a place outside the committee": lambda r: first_result_with(r, position=4),
    "another round": lambda r: with_part(r, 0, round=1),
    "another set": lambda r: with_part(r, 1, commitments=r.shards[0].commitments),
    "a smaller set": lambda r: with_part(r, 1, commitments=r.shards[1].commitments[:3]),
    "another digest": lambda r: with_part(r, 0, out_digest=bytes(32)),
    "shards swapped": lambda r: replace(r, shards=r.shards[::-1]),
    "another answer": lambda r: replace(r, output=bytes(4)),
    "a longer answer": lambda r: replace(r, output=r.output + b"\0"),
    "no answer": lambda r: replace(r, output=b""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_chain_would_refuse_is_found(name: str) -> None:
    with pytest.raises(InvalidMessage):
        check_report(CASE, REFUSED[name](full_report()), NOW)


def test_a_long_answer_goes_by_its_digest() -> None:
    long = EdgeType(DType.INT8, (1, 1025), -127, 127)
    query, digest = replace(CASE.query, output_edge=long.pack()), Digest(b"\x07" * 32)
    check_output(query, digest, digest)
    for other in (bytes(32), digest[:31], b"", bytes(1025)):
        with pytest.raises(InvalidMessage):
            check_output(query, digest, other)
    sealed = replace(query, privacy=Privacy.SEALED)
    check_output(sealed, digest, b"\x09" * 32)


def test_evidence_is_for_one_shard_of_one_case() -> None:
    check_member_evidence(CASE, 0, 0, evidence(0))
    other = replace(CASE, chain_id=1)
    for case, shard, shown in ((other, 0, evidence(0)), (CASE, 1, evidence(0))):
        with pytest.raises(InvalidMessage):
            check_member_evidence(case, shard, 0, shown)


def test_the_answer_comes_with_the_last_shard_only() -> None:
    with pytest.raises(InvalidMessage):
        check_member_evidence(CASE, 1, 0, replace(evidence(1), payload=b""))
    with pytest.raises(InvalidMessage):
        check_member_evidence(CASE, 0, 0, replace(evidence(0), payload=TENSORS[-1]))


# --- PROVED ---


INPUTS = tuple(map(ShownEdge, EDGES[:2]))
SHOWN = shown_inputs(INPUTS, TENSORS, [])


def prover(shard: int, position: int, proof: bytes | None = b"\1" * 32) -> Proved:
    work = works_of(PROVED, position)[shard]
    return Proved(position, replace(evidence_of(work, work.report()), proof=proof))


def proved_at(now: int, *found: tuple[int, int, bytes | None]) -> list[int] | None:
    provers: dict[int, list[Proved]] = {}
    for shard, position, proof in found:
        provers.setdefault(shard, []).append(prover(shard, position, proof))
    path = proved_path(PROVED.query, provers, SHOWN, Timestamp(now))
    return None if path is None else [one.position for one in path]


def test_the_first_prover_is_preferred() -> None:
    proof = b"\1" * 32
    found = [(0, 1, proof), (0, 0, proof), (1, 0, proof)]
    assert proved_at(1_050, *found) == [0, 0]


def test_a_spare_counts_from_its_turn_on() -> None:
    proof = b"\1" * 32
    found = [(0, 1, proof), (1, 0, proof)]
    assert proved_at(1_019, *found) is None
    assert proved_at(1_020, *found) == [1, 0]


@pytest.mark.parametrize("proof", [None, b"", bytes(8193)])
def test_a_prover_without_a_usable_proof_does_not_count(proof: bytes | None) -> None:
    assert proved_at(1_050, (0, 0, proof), (1, 0, b"\1" * 32)) is None


def proved_full() -> Report:
    return proved_report((prover(0, 1), prover(1, 0)), SHOWN)


def test_a_proved_report_names_the_provers_real_places() -> None:
    report = proved_full()
    assert [part.results[0].position for part in report.shards] == [1, 0]
    check_report(PROVED, report, Timestamp(1_020))


@pytest.mark.parametrize(
    ("change", "now"),
    [
        (lambda r: r, 1_019),
        (lambda r: replace(r, proofs=r.proofs[:1]), 1_020),
        (lambda r: replace(r, proofs=(b"", b"\1")), 1_020),
        (lambda r: replace(r, tensors=(bytes(513), r.tensors[1])), 1_020),
        (lambda r: with_part(r, 0, results=()), 1_020),
    ],
)
def test_a_proved_report_that_the_chain_would_refuse(change: object, now: int) -> None:
    with pytest.raises(InvalidMessage):
        check_report(PROVED, change(proved_full()), Timestamp(now))  # type: ignore[operator]


def test_inputs_are_found_by_digest_among_what_everybody_shows() -> None:
    found = tensors_of(prover(shard, 0).evidence for shard in range(2))
    beyond = b"\x80" * len(TENSORS[0])
    assert shown_inputs(INPUTS, {*found, b"junk", beyond}, []) == [
        {prover(shard, 0).in_digest: TENSORS[shard]} for shard in range(2)
    ]


def test_who_worked_on_a_tensor_that_nobody_shows_does_not_count() -> None:
    """The first provers of both shards, hand in hand, would keep every other away."""
    hidden = Digest(b"\7" * 32)
    first, second = prover(0, 0), prover(1, 0)
    first = replace(first, evidence=replace(first.evidence, out_digest=hidden))
    second = replace(second, evidence=replace(second.evidence, in_digest=hidden))
    found = {0: [first, prover(0, 1)], 1: [second, prover(1, 1)]}
    path = proved_path(PROVED.query, found, SHOWN, Timestamp(1_050))
    assert path == (prover(0, 1), prover(1, 1))


def test_a_report_is_a_plain_value() -> None:
    part = full_report().shards[0]
    assert isinstance(part, ShardReport)
    assert full_report() == full_report()
