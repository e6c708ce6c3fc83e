"""Cuts so that shards can be proved, and what a proof of each will take, before anybody pays.

Figures are those of `benchmarks/results/proving.md`: ezkl 23.0.5, 2 cores, k = 15. Time, memory and
gas depend on the columns of a circuit and on its instances, not on how full the columns are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesa.models.cut import legal_positions
from nesa.models.graph import Shard, Table
from nesa.models.lowering import CircuitNeeds, RowNeeds, row_needs, shard_needs
from nesa.protocol.errors import InvalidModel
from nesa.protocol.versions import MAX_SHARDS

K: Final = 15
SPARE_ROWS: Final = 256
"""Rows that the proof system keeps for itself."""

ROWS_AN_ESTIMATE: Final = (1.85, 0.89)
"""Rows that ezkl takes for each estimated one, in one column and in two; see ROW_ERROR."""

ROW_ERROR: Final = 0.04
"""Part by which the seven circuits that were compiled (three of one column, four of two) differ at
most from the estimate; the budget leaves that much room."""

TIME_ERROR: Final = 0.05
"""Part by which measured circuits of one column differ at most from PROVE_SECONDS; the one of two
columns is a single measurement."""

PROVE_SECONDS: Final = (2.4, 3.5)
PROVE_MEBIBYTES: Final = (273, 402)
KEY_MEBIBYTES: Final = (102, 150)
VERIFY_GAS: Final = (443_200, 602_000)
"""Gas at Osaka prices without instances; the measured circuits differ by at most 0.5 %."""

GAS_AN_INSTANCE: Final = 896

LEGAL_SHARDS: Final = range(1, MAX_SHARDS + 1)


@dataclass(frozen=True, slots=True)
class ProofEstimate:
    """What one proof of a shard takes: rows of a circuit of `columns`, seconds and gas."""

    columns: int
    rows: int
    seconds: float
    prover_mebibytes: int
    key_mebibytes: int
    gas: int


@dataclass(frozen=True, slots=True)
class ShardProof:
    """A shard of rows `first <= i < end`; `proof` is None when it has `obstacles`."""

    first: int
    end: int
    needs: CircuitNeeds
    proof: ProofEstimate | None
    obstacles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """The shards, in order. `unproved` is the work in estimated rows that nobody can prove."""

    shards: tuple[ShardProof, ...]
    unproved: int

    @property
    def cuts(self) -> tuple[int, ...]:
        """Rows in front of which a further shard begins."""
        return tuple(shard.first for shard in self.shards[1:])

    @property
    def seconds(self) -> float:
        """Seconds of all proofs, one after the other."""
        return sum(shard.proof.seconds for shard in self.shards if shard.proof)


def proof_plan(table: Table, counts: range = LEGAL_SHARDS) -> ProofPlan:
    """The cut with as little unprovable work as can be, then the fewest shards and least time.

    Exact: a dynamic programme over the legal positions of the table.

    Raises:
        InvalidModel: there are not enough places to cut at.
    """
    places = (0, *legal_positions(table), len(table.rows))
    parts = _parts(table, places)
    best: dict[int, tuple[int, int, float, tuple[ShardProof, ...]]] = {0: (0, 0, 0.0, ())}
    ends = []
    for number in range(1, min(counts[-1], len(places) - 1) + 1):
        best = _longer(best, parts)
        if number in counts and len(table.rows) in best:
            ends.append(best[len(table.rows)])
    if not ends:
        raise InvalidModel(f"the table has no {counts[0] - 1} places where it can be cut")
    unproved, _, _, shards = min(ends, key=lambda one: one[:3])
    return ProofPlan(shards, unproved)


def estimate(needs: CircuitNeeds) -> ProofEstimate | None:
    """What a proof takes; None where even two columns are too few.

    Rows are those of ROWS_AN_ESTIMATE, which at least have to fit `2**15 - 256` with ROW_ERROR.
    """
    for column, factor in enumerate(ROWS_AN_ESTIMATE):
        rows = needs.rows * factor
        if rows * (1 + ROW_ERROR) <= (1 << K) - SPARE_ROWS:
            gas = VERIFY_GAS[column] + GAS_AN_INSTANCE * needs.instances
            figures = (PROVE_SECONDS[column], PROVE_MEBIBYTES[column], KEY_MEBIBYTES[column])
            return ProofEstimate(column + 1, round(rows), *figures, gas)
    return None


def shard_proof(table: Table, shard: Shard, needs: list[RowNeeds]) -> ShardProof:
    """What stands between the shard and a proof, or what the proof takes."""
    found = shard_needs(table, shard, needs)
    obstacles = list(dict.fromkeys(found.obstacles))
    if len(shard.inputs) != 1 or len(shard.outputs) != 1:
        ends = f"{len(shard.inputs)} inputs and {len(shard.outputs)} outputs"
        obstacles.append(f"{ends}, a circuit has one of each")
    proof = estimate(found)
    if proof is None:
        obstacles.append(f"about {found.rows} rows at four digits are too many for k = {K}")
    kept = None if obstacles else proof
    return ShardProof(shard.first, shard.end, found, kept, tuple(obstacles))


def _parts(table: Table, places: tuple[int, ...]) -> dict[int, list[ShardProof]]:
    """Every part between two places, by the row that it begins with."""
    crossing = {place: table.crossing(place) for place in places}
    needs = [row_needs(table, row) for row in table.rows]
    return {
        first: [
            shard_proof(table, Shard(first, end, crossing[first], crossing[end]), needs[first:end])
            for end in places
            if end > first
        ]
        for first in places
    }


def _longer(
    best: dict[int, tuple[int, int, float, tuple[ShardProof, ...]]],
    parts: dict[int, list[ShardProof]],
) -> dict[int, tuple[int, int, float, tuple[ShardProof, ...]]]:
    found: dict[int, tuple[int, int, float, tuple[ShardProof, ...]]] = {}
    for place, (unproved, count, seconds, shards) in best.items():
        for part in parts[place]:
            lost = 0 if part.proof else max(part.needs.rows, 1)
            spent = part.proof.seconds if part.proof else 0.0
            new = (unproved + lost, count + 1, seconds + spent, (*shards, part))
            if part.end not in found or new[:3] < found[part.end][:3]:
                found[part.end] = new
    return found
