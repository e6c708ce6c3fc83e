"""Plans of a model from its files; what `nesa model plan` does."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import aiohttp
from pydantic import BaseModel, Field, ValidationError
from rich.table import Table as Lines

from nesa.chain.web import Patience, read_url
from nesa.cli.output import safe
from nesa.cli.quantities import open_dimensions
from nesa.cli.text import printable
from nesa.client.payment import in_nes
from nesa.models.folder import load
from nesa.models.graph import Table
from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.placement.capacities import Swarm
from nesa.models.placement.costs import ModelCosts
from nesa.models.placement.graph_costs import graph_costs
from nesa.models.placement.honesty import (
    MAX_OBSERVED_BYTES,
    ObservedFile,
    Overstated,
    Part,
    find_liars,
    read_observed,
    without,
)
from nesa.models.placement.plan import MEBIBYTE, Plan, Stage, Wish, plan
from nesa.models.placement.provability import (
    LEGAL_SHARDS,
    TIME_ERROR,
    ProofPlan,
    ShardProof,
    proof_plan,
)
from nesa.models.placement.rebalancing import Move, Rebalanced, Seats, rebalance
from nesa.models.placement.stages import Objective
from nesa.models.placement.swarm_file import MAX_FILE_BYTES, read_swarm
from nesa.models.placement.table_costs import table_costs
from nesa.models.validation import first_problem
from nesa.protocol.errors import InvalidInput, Unavailable
from nesa.protocol.ids import Amount
from nesa.protocol.versions import MAX_SHARDS

OBSERVED_PATH: Final = "/v1/observed"
PATIENCE: Final = Patience(10.0, MAX_OBSERVED_BYTES)

ADVICE: Final = (
    "say what the plan is for: --miners FILE.json places shards, --prove finds cuts that can be "
    "proved; give one of them"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of what `nesa model plan` says: a document for programs; facts, a line for each shard
    and closing sentences for people."""

    document: Mapping[str, Any]
    words: Mapping[str, Any]
    lines: Lines
    closing: tuple[str, ...] = ()


def believed(miners: Path, model: Path, observed: Sequence[str]) -> tuple[Swarm, list[Overstated]]:
    """The swarm in a file without those who claim more than was observed, and who they are."""
    swarm = read_miners(miners)
    if not observed:
        return swarm, []
    found = liars(model, swarm, [read_times(one) for one in observed])
    return without(swarm, found), found


def placed(
    model: Path, dims: Sequence[str], swarm: Swarm, wish: Wish, left_out: Sequence[Overstated]
) -> Section:
    """Who computes which shard of a model."""
    made = plan(costs_of(model, open_dimensions(dims)), swarm, wish)
    command = cut_command(model, made, dims)
    document = {
        **plan_facts(made),
        "cut_command": command,
        "overstated": [liar_facts(one) for one in left_out],
        "shards": [stage_facts(stage) for stage in made.stages],
    }
    closing = (*map(liar_words, left_out), f"To cut there: {command}")
    return Section(document, plan_words(made), stage_lines(made), closing)


def proved(model: Path, shards: int | None, price: Amount) -> Section:
    """Where to cut a compiled model so that its shards can be proved, at NES units a proof."""
    made = proofs(model, shards)
    facts = proof_facts(made, price)
    lines = [shard_proof_facts(shard, price) for shard in made.shards]
    return Section({**facts, "proved_shards": lines}, facts, proof_lines(made, price))


def moved(
    model: Path, dims: Sequence[str], earlier: Path, swarm: Swarm, wish: Wish, gap: float
) -> tuple[Rebalanced, tuple[int, ...]]:
    """The fewest moves of seats from an earlier plan on, and its cuts."""
    cuts, seats = read_plan(earlier)
    return rebalance(costs_of(model, open_dimensions(dims)), cuts, seats, swarm, wish, gap), cuts


def read_miners(path: Path) -> Swarm:
    """The swarm in a JSON file.

    Raises:
        InvalidInput: it cannot be read or is wrong; see `read_swarm`.
    """
    try:
        with path.open("rb") as file:
            return read_swarm(file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        raise InvalidInput(f"cannot read the miners in {path}: {error.strerror}") from error


def read_times(source: str) -> ObservedFile:
    """Observed times from a file, or from a miner's address (`http://host:port`).

    Raises:
        InvalidInput: the file cannot be read, or holds something else.
        Unavailable: no miner answers there.
    """
    if source.startswith(("http://", "https://")):
        return read_observed(asyncio.run(_asked(source.rstrip("/"))))
    try:
        with Path(source).open("rb") as file:
            return read_observed(file.read(MAX_OBSERVED_BYTES + 1))
    except OSError as error:
        raise InvalidInput(f"cannot read the times in {source}: {error.strerror}") from error


async def _asked(url: str) -> bytes:
    address = url if url.endswith(OBSERVED_PATH) else url + OBSERVED_PATH
    try:
        async with aiohttp.ClientSession() as session:
            found = await read_url(session, address, PATIENCE)
    except Unavailable as error:
        raise Unavailable(f"no miner answers at {address}: {error}") from error
    if found is None:
        raise Unavailable(f"there is nothing at {address}; is a miner there?")
    return found


def liars(model: Path, swarm: Swarm, files: Sequence[ObservedFile]) -> list[Overstated]:
    """Miners of the swarm that took far longer for shards of the compiled model than they claim.

    Raises:
        InvalidInput: an ONNX file, which no miner runs.
    """
    if not model.is_dir():
        raise InvalidInput("--observed is for the folder of the compiled model that miners run")
    compiled = load(model)
    parts = [
        Part(shard.first, shard.end, f"0x{facts.file_digest.hex()}")
        for shard, facts in zip(compiled.table.shards, compiled.shards, strict=True)
    ]
    return find_liars(swarm, table_costs(compiled.table), parts, files)


def liar_facts(one: Overstated) -> dict[str, Any]:
    """One overstated claim in plain values."""
    finding = one.finding
    operators = [one.part.first, one.part.end]
    return {"name": one.name, "operators": operators, "ratio": finding.ratio, "runs": finding.runs}


def liar_words(one: Overstated) -> str:
    """The same for people."""
    return (
        f"{printable(one.name)} is left out: over {one.finding.runs} runs of operators "
        f"{one.part.first}-{one.part.end - 1} it took {one.finding.ratio:.1f} times as long as it "
        "claims and others need"
    )


def costs_of(model: Path, dims: Mapping[str, int]) -> ModelCosts:
    """Costs of the compiled model in a folder, or of an ONNX file.

    Raises:
        InvalidModel: it cannot be read.
    """
    if model.is_dir():
        return table_costs(load(model).table)
    return graph_costs(read_graph(model), dims)


def table_of(model: Path) -> Table:
    """The table of a compiled model.

    Raises:
        InvalidInput: an ONNX file, which nobody can prove.
    """
    if not model.is_dir():
        raise InvalidInput(
            "only compiled models can be proved; make a folder with `nesa model compile`"
        )
    return load(model).table


def proofs(model: Path, shards: int | None) -> ProofPlan:
    """The cut of a compiled model that can be proved best."""
    counts = LEGAL_SHARDS if shards is None else range(shards, shards + 1)
    return proof_plan(table_of(model), counts)


class _SeatedShard(BaseModel):
    miners: list[str]
    spares: list[str] = []


class _EarlierPlan(BaseModel):
    """What counts of what `nesa model plan --json` printed, or `--from` itself."""

    cuts: list[int]
    shards: Annotated[list[_SeatedShard], Field(min_length=1, max_length=MAX_SHARDS)]


def read_plan(path: Path) -> tuple[tuple[int, ...], Seats]:
    """Cuts and seats of an earlier plan.

    Raises:
        InvalidInput: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            found = _EarlierPlan.model_validate_json(file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        raise InvalidInput(f"cannot read the plan in {path}: {error.strerror}") from error
    except ValidationError as error:
        place, problem = first_problem(error, "the document")
        advice = "it is what `nesa model plan --json` printed"
        raise InvalidInput(f"the plan is wrong at {place}: {problem}; {advice}") from None
    return tuple(found.cuts), tuple((*one.miners, *one.spares) for one in found.shards)


def rebalanced_facts(made: Rebalanced, cuts: Sequence[int]) -> dict[str, Any]:
    """Moves, and what they bring, in plain values; `shards` can be given to `--from` again."""
    return {
        "cuts": list(cuts),
        "before_ms": None if made.before == float("inf") else made.before * 1e3,
        "value_ms": made.value * 1e3,
        "best_ms": made.best * 1e3,
        "gap": made.gap,
        "fewest": made.is_fewest,
        "moves": [asdict(one) for one in made.moves],
        "shards": [{"miners": list(line), "spares": []} for line in made.seats],
    }


def rebalanced_words(made: Rebalanced) -> dict[str, str]:
    """The same for people."""
    lacking = made.before == float("inf")
    how = "no fewer moves do" if made.is_fewest else "chosen one after the other"
    return {
        "before": "a shard lacks seats" if lacking else f"{made.before * 1e3:.4g} ms",
        "after": f"{made.value * 1e3:.4g} ms, {made.gap:.1%} above the best on these cuts",
        "moves": f"{len(made.moves)}; {how}",
    }


def move_words(move: Move) -> str:
    """What the operator of a miner does, with the commands that do it."""
    name = printable(move.miner)
    leave = f"`nesa-miner leave --version VERSION --shard {move.source}`"
    take = f"`nesa-miner register --version VERSION --shard {move.target}`"
    if move.source is None:
        return f"{name} takes a seat in shard {move.target}: {take}"
    if move.target is None:
        return f"{name} leaves shard {move.source}: {leave}"
    return (
        f"{name} moves from shard {move.source} to {move.target}: {leave}, `nesa-miner withdraw` "
        f"when the seat is released, {take}"
    )


def plan_facts(made: Plan) -> dict[str, Any]:
    """What holds for the whole plan."""
    value: dict[str, Any] = {"latency_ms": made.value * 1e3}
    if made.objective is Objective.THROUGHPUT:
        value = {"slowest_stage_ms": made.value * 1e3, "queries_per_second": 1 / made.value}
    return {
        "objective": made.objective.value,
        **value,
        "bound_ms": made.bound * 1e3,
        "gap": made.gap,
        "optimal": made.optimal,
        "places_searched": made.places,
        "places_legal": made.legal,
        "cuts": list(made.cuts),
    }


def plan_words(made: Plan) -> dict[str, str]:
    """The same for people."""
    searched = f"{made.places} of {made.legal} places to cut at"
    how = "the best there is" if made.optimal else "the best found"
    words = {"latency": f"{made.value * 1e3:.4g} ms"}
    if made.objective is Objective.THROUGHPUT:
        rate = f"{1 / made.value:,.4g} queries a second"
        words = {"throughput": f"{rate}, slowest stage {made.value * 1e3:.4g} ms"}
    bound = f"{made.bound * 1e3:.4g} ms; the plan is {made.gap:.1%} above it"
    return words | {"no plan beats": bound, "search": f"{how} on {searched}"}


def cut_command(model: Path, made: Plan, dims: Sequence[str]) -> str:
    """The line that cuts the model as planned."""
    given = [word for one in dims for word in ("--dim", one)]
    places = ",".join(map(str, made.cuts))
    where = ["--at", places] if places else ["--shards", "1"]
    output = model.with_suffix("").name + f"-{len(made.stages)}"
    return shlex.join(["nesa", "model", "cut", str(model), *where, *given, "--output", output])


def stage_facts(stage: Stage) -> dict[str, Any]:
    """One shard in plain values."""
    return {
        "operators": [stage.first, stage.end],
        "miners": list(stage.miners),
        "spares": list(stage.spares),
        "compute_ms": stage.seconds * 1e3,
        "way_ms": stage.way_seconds * 1e3,
        "boundary_bytes": stage.boundary_bytes,
        "memory_bytes": stage.memory,
    }


def stage_lines(made: Plan) -> Lines:
    """A line for each shard."""
    heads = ("shard", "operators", "miners", "spares", "computes", "way", "bytes in", "memory")
    lines = Lines(*heads, box=None)
    for number, stage in enumerate(made.stages):
        names = (", ".join(stage.miners), ", ".join(stage.spares) or "-")
        times = (f"{stage.seconds * 1e3:.4g} ms", f"{stage.way_seconds * 1e3:.4g} ms")
        amounts = (f"{stage.boundary_bytes:,}", f"{stage.memory / MEBIBYTE:,.2f} MiB")
        operators = f"{stage.first}-{stage.end - 1}"
        lines.add_row(str(number), operators, *map(safe, names), *times, *amounts)
    return lines


def proof_facts(made: ProofPlan, price: Amount) -> dict[str, Any]:
    """What holds for all proofs together; `price` is NES units a proof."""
    proven = [shard.proof for shard in made.shards if shard.proof]
    return {
        "provable": not made.unproved,
        "proof_cuts": list(made.cuts),
        "proofs": len(proven),
        "proof_seconds": made.seconds,
        "seconds_error": TIME_ERROR,
        "verify_gas": sum(proof.gas for proof in proven),
        "proof_price": in_nes(Amount(price * len(proven))),
    }


def shard_proof_facts(shard: ShardProof, price: Amount) -> dict[str, Any]:
    """One shard's proof in plain values."""
    proof = shard.proof
    facts: dict[str, Any] = {
        "operators": [shard.first, shard.end],
        "instances": shard.needs.instances,
        "digits": shard.needs.digits,
        "obstacles": list(shard.obstacles),
    }
    if proof is None:
        return facts
    return facts | {
        "circuit_rows": proof.rows,
        "columns": proof.columns,
        "seconds": proof.seconds,
        "prover_mebibytes": proof.prover_mebibytes,
        "key_mebibytes": proof.key_mebibytes,
        "verify_gas": proof.gas,
        "price": in_nes(price),
    }


def proof_lines(made: ProofPlan, price: Amount) -> Lines:
    """A line for each shard with what its proof takes, or why it has none."""
    heads = ("shard", "operators", "instances", "digits", "rows", "proof", "gas", "price")
    lines = Lines(*heads, box=None)
    for number, shard in enumerate(made.shards):
        operators = f"{shard.first}-{shard.end - 1}"
        needs = (str(shard.needs.instances), str(shard.needs.digits))
        cost = ("-", f"none: {shard.obstacles[0]}" if shard.obstacles else "", "-", "-")
        if proof := shard.proof:
            cost = (f"{proof.rows:,}", f"{proof.seconds} s", f"{proof.gas:,}", in_nes(price))
        lines.add_row(str(number), operators, *needs, *map(safe, cost))
    return lines
