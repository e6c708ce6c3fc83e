"""Every shard of a proof plan is within the budget; estimates are near what ezkl measured."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from nesa.models.cut import cut_at, legal_positions
from nesa.models.folder import load
from nesa.models.lowering import circuit_needs
from nesa.models.placement.provability import ROW_ERROR, estimate, proof_plan
from nesa.protocol.errors import InvalidModel
from tests.models.encoder import encoder

MODELS = Path("models")
NAMES = ("breast-cancer-mlp", "digits-cnn")


@pytest.mark.parametrize("name", NAMES)
def test_the_models_of_the_repository_are_proved_whole(name):
    made = proof_plan(load(MODELS / name).table)
    assert made.unproved == 0
    for shard in made.shards:
        assert shard.proof is not None
        assert shard.needs.digits <= 6
        assert shard.needs.instances <= 128


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_is_the_best_of_all_cuts(name):
    table = load(MODELS / name).table
    best = min(
        (_unprovable(cut_at(table, cuts)), count + 1)
        for count in range(3)
        for cuts in combinations(legal_positions(table), count)
    )
    made = proof_plan(table, range(1, 4))
    assert (made.unproved, len(made.shards)) == best


def _unprovable(table) -> int:
    needs = [circuit_needs(table, shard) for shard in table.shards]
    single = [len(shard.inputs) == len(shard.outputs) == 1 for shard in table.shards]
    return sum(
        need.rows
        for need, one in zip(needs, single, strict=True)
        if need.obstacles or not one or estimate(need) is None
    )


@pytest.mark.parametrize(("name", "shard"), [(name, shard) for name in NAMES for shard in (0, 1)])
def test_estimates_are_near_what_was_measured(name, shard):
    table = load(MODELS / name).table
    guessed = estimate(circuit_needs(table, table.shards[shard]))
    measured = json.loads((MODELS / name / f"shards/{shard}.settings.json").read_bytes())
    assert guessed is not None
    assert guessed.columns == measured["run_args"]["num_inner_cols"]
    assert guessed.rows == pytest.approx(measured["num_rows"], rel=ROW_ERROR)


def test_a_transformer_names_what_cannot_be_proved():
    made = proof_plan(encoder(), range(1, 9))
    assert made.shards[0].first == 0
    assert made.shards[-1].end == len(encoder().rows)
    for shard in made.shards:
        assert (shard.proof is None) == bool(shard.obstacles)


def test_more_shards_than_places_are_refused():
    with pytest.raises(InvalidModel, match="places"):
        proof_plan(load(MODELS / "digits-cnn").table, range(8, 9))
