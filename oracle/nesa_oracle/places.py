"""Between slots and places in the draw: members agree by slots, the chain pays by places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nesa.chain.committees import DrawnCommittees, opened_lineup
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Address, Digest
from nesa.protocol.queries import ShardReport, SignedResult
from nesa.protocol.summons import slot_of
from nesa_oracle.report import Report


def in_draw(
    committees: DrawnCommittees, context: Callable[[int], ShardContext], report: Report
) -> Report:
    """A report by slots as the chain takes it: results by places in the draw."""
    parts, in_digest = [], committees.query.input_digest
    for shard, part in enumerate(report.shards):
        parts.append(_part_in_draw(committees, context(shard), part, in_digest))
        in_digest = part.out_digest
    return replace(report, shards=tuple(parts))


def _part_in_draw(
    committees: DrawnCommittees, context: ShardContext, part: ShardReport, in_digest: Digest
) -> ShardReport:
    absent = committees.absent_slots(context.shard)
    if not absent:
        return part
    shown = ShardEvidence(part.round, in_digest, part.out_digest, part.commitments, part.results)
    lineup = opened_lineup(committees, context, shown)
    placed = (replace(result, position=lineup[result.position]) for result in part.results)
    results = tuple(sorted(placed, key=lambda result: result.position))
    return replace(part, results=results, spares=absent)


def in_slots(
    committees: DrawnCommittees, shard: int, part: ShardReport
) -> tuple[tuple[Address, ...], tuple[SignedResult, ...]]:
    """The signers of a report's set by slot, and its results with their slots as positions.

    Raises:
        InvalidMessage: it pays somebody who has no slot, or not in the order of the draw.
    """
    positions = [result.position for result in part.results]
    if positions != sorted(set(positions)):
        raise InvalidMessage("the results are not in ascending places of the draw")
    seats, replicas = committees.shards[shard], committees.query.replicas
    absent = committees.absent_slots(shard)
    lineup = list(range(min(replicas, len(seats))))
    results = []
    for result in part.results:
        slot = slot_of(result.position, replicas, absent)
        if slot is None or slot >= len(lineup):
            raise InvalidMessage(f"nobody stands at place {result.position} of the draw")
        lineup[slot] = result.position
        results.append(replace(result, position=slot))
    ordered = tuple(sorted(results, key=lambda result: result.position))
    return tuple(seats[position].signer for position in lineup), ordered
