"""Everything that the contracts will check of a report, checked before anybody pays for gas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nesa.chain.committees import DrawnCommittees, opened_lineup
from nesa.protocol.commitments import ShardContext
from nesa.protocol.contents import is_long_answer
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import ShardEvidence, verify_evidence
from nesa.protocol.ids import Address, Digest, Timestamp
from nesa.protocol.outcomes import oracle_turn, prover_begins
from nesa.protocol.queries import (
    MAX_OUTPUT_BYTES,
    Assurance,
    Privacy,
    Query,
    ShardReport,
)
from nesa_oracle.places import in_slots
from nesa_oracle.proofs.selection import MAX_PROOF_BYTES, MAX_PROVED_TENSOR_BYTES
from nesa_oracle.report import Report


@dataclass(frozen=True, slots=True)
class Case:
    """One attempt of one query on one market, with everybody who was drawn for it."""

    chain_id: int
    market: Address
    committees: DrawnCommittees

    @property
    def query(self) -> Query:
        """The terms."""
        return self.committees.query

    @property
    def is_proved(self) -> bool:
        """Whether every shard needs a proof."""
        return self.query.assurance is Assurance.PROVED

    def context(self, shard: int) -> ShardContext:
        """What the members of a shard signed under."""
        query, seed = self.query, self.committees.seed_hash
        return ShardContext(self.chain_id, self.market, query.query_id, query.attempt, seed, shard)

    def signers(self, shard: int) -> tuple[Address, ...]:
        """Signers drawn for a shard, in draw order."""
        return tuple(seat.signer for seat in self.committees.shards[shard])

    def lineup(self, shard: int, evidence: ShardEvidence) -> tuple[int, ...]:
        """Positions in the draw of those who stand in the set of `evidence`, by slot.

        A member that was found absent may still have opened what its spare could have filled.
        """
        return opened_lineup(self.committees, self.context(shard), evidence)


def check_member_evidence(case: Case, shard: int, position: int, evidence: ShardEvidence) -> None:
    """Check what the member at `position` shows of its shard.

    Raises:
        InvalidMessage: no quorum of the committee signed it, or it cannot be part of a report.
    """
    signers = case.signers(shard)
    if case.is_proved:
        members: tuple[Address, ...] = (signers[position],)
    else:
        members = tuple(signers[place] for place in case.lineup(shard, evidence))
    verify_evidence(case.context(shard), members, case.query.replicas, evidence)
    is_last = shard == case.query.shards - 1
    if bool(evidence.payload) != is_last:
        raise InvalidMessage("an answer belongs to the last shard, and only there")
    if is_last:
        check_output(case.query, evidence.out_digest, evidence.payload)


def check_report(case: Case, report: Report, now: Timestamp) -> None:
    """Check a whole report as the market and the committee contract will; see also `check_turn`.

    Raises:
        InvalidMessage: they would refuse it, in words.
    """
    query = case.query
    if len(report.shards) != query.shards:
        raise InvalidMessage(f"{len(report.shards)} reports for {query.shards} shards")
    in_digest = query.input_digest
    for shard, part in enumerate(report.shards):
        _check_part(case, shard, part, in_digest, report.output, now)
        in_digest = part.out_digest
    check_output(query, in_digest, report.output)
    if case.is_proved:
        _check_proof_sizes(query, report)


def check_turn(case: Case, reporter: Address, now: Timestamp) -> None:
    """Check that `reporter` may report at `now`.

    Raises:
        InvalidMessage: too late, or somebody else's turn.
    """
    if now > case.query.answer_deadline:
        raise InvalidMessage("the answer deadline has passed")
    turn, oracles = oracle_turn(case.query, now), case.committees.oracles
    if turn is not None and turn < len(oracles) and oracles[turn].signer != reporter:
        raise InvalidMessage(f"turn {turn} belongs to another oracle")


def check_output(query: Query, out_digest: Digest, output: bytes) -> None:
    """Check the answer, or what a long one goes by, against the digest that was agreed on;
    ciphertext is only attested.

    Raises:
        InvalidMessage: other bytes, or more than the market takes.
    """
    if not 0 < len(output) <= MAX_OUTPUT_BYTES:
        raise InvalidMessage(f"an answer of {len(output)} bytes does not go on chain")
    if query.privacy is Privacy.SEALED:
        return
    edge = EdgeType.unpack(query.output_edge)
    if is_long_answer(edge.nbytes):
        if output != out_digest:
            raise InvalidMessage("a long answer goes by another digest than was agreed on")
        return
    if len(output) != edge.nbytes:
        raise InvalidMessage(f"the answer has {len(output)} bytes, its type {edge.nbytes}")
    if boundary_digest([edge], [output]) != out_digest:
        raise InvalidMessage("the answer is not the one that was agreed on")


def _check_part(
    case: Case, shard: int, part: ShardReport, in_digest: Digest, output: bytes, now: Timestamp
) -> None:
    """One shard's report, turned back into the evidence that it came from."""
    positions = [result.position for result in part.results]
    is_last = shard == case.query.shards - 1
    if case.is_proved:
        members = _prover(case, shard, positions, now)
        results = tuple(replace(result, position=0) for result in part.results)
    else:
        members, results = in_slots(case.committees, shard, part)
    evidence = ShardEvidence(
        part.round,
        in_digest,
        part.out_digest,
        part.commitments,
        results,
        payload=output if is_last else b"",
    )
    verify_evidence(case.context(shard), members, case.query.replicas, evidence)


def _prover(
    case: Case, shard: int, positions: Sequence[int], now: Timestamp
) -> tuple[Address, ...]:
    signers = case.signers(shard)
    if len(positions) != 1 or positions[0] >= len(signers):
        raise InvalidMessage("a proved shard has exactly one of its drawn provers")
    begins = prover_begins(case.query, positions[0])
    if begins is None or begins > now:
        raise InvalidMessage(f"the prover at {positions[0]} is out of turn")
    return (signers[positions[0]],)


def _check_proof_sizes(query: Query, report: Report) -> None:
    if not len(report.tensors) == len(report.proofs) == query.shards:
        raise InvalidMessage("a proved report has one tensor and one proof for each shard")
    if any(len(tensor) > MAX_PROVED_TENSOR_BYTES for tensor in (*report.tensors, report.output)):
        raise InvalidMessage("a tensor is longer than the market takes")
    if any(not 0 < len(proof) <= MAX_PROOF_BYTES for proof in report.proofs):
        raise InvalidMessage("a proof is missing or longer than the market takes")
