"""The circuits, verifiers and proofs of a shipped model, and a table that says something else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import boa
import pytest

from nesa.models.disputes.parties import Challenger
from nesa.models.folder import load
from nesa.models.graph import Parameter, ParameterKind, Table
from nesa.models.judging import Witness
from nesa.models.proving.artefacts import ProvableShard, read_provable_shard
from tests.contracts.disputes.disputed import Answered, Case, answer, events, stakes
from tests.deployment import REQUEST_LIMITS, ROOT, next_epoch, register_version
from tests.judging import witness_of
from tests.market import World, pass_blocks

FOLDER = ROOT / "models" / "breast-cancer-mlp"
STAKE = REQUEST_LIMITS.seat_stake
STANDING, FALLEN = 1, 2


@dataclass(frozen=True)
class Provable:
    """A model with its circuits; `proved` are all values behind the proof of shard 0's corner."""

    table: Table
    shards: list[ProvableShard]
    proved: Witness

    def disagreeing(self) -> Table:
        """A table of the same types whose first dense layer has other biases."""
        first, *others = self.table.rows
        halved = tuple(
            Parameter(one.kind, one.values // 2) if one.kind is ParameterKind.BIASES else one
            for one in first.parameters
        )
        return replace(self.table, rows=(replace(first, parameters=halved), *others))


@pytest.fixture(scope="module")
def model() -> Provable:
    found = load(FOLDER)
    shards = [read_provable_shard(FOLDER, found, number) for number in range(len(found.shards))]
    proved = witness_of(found.table, [shards[0].corner.input])
    assert proved.encoded(found.table.shards[0].outputs[0]) == shards[0].corner.output
    return Provable(found.table, shards, proved)


def register(world: World, model: Provable, table: Table) -> bytes:
    """The version that has this table and the model's circuits, with seats for every shard."""
    verifiers = [boa.env.deploy_code(bytecode=shard.creation)[0] for shard in model.shards]
    version = register_version(
        world.lower.registry,
        world.developer,
        load(FOLDER).shards,
        tuple(map(_Deployed, verifiers)),
        operators_root=table.operators_root,
    )
    for shard in range(len(model.shards)):
        for number in range(4):
            world.operator(f"proves-{shard}-{number}", [(version, shard)])
    next_epoch()
    pass_blocks(1, 0)
    return version


@dataclass(frozen=True)
class _Deployed:
    address: str


def answered(
    world: World, court, client: str, model: Provable, said: Witness
) -> tuple[Answered, dict[str, int]]:
    """A query of the corner's input that all members answered so, and their stakes."""
    version = register(world, model, said.table)
    order = world.order(2, version_id=version)
    world.market.request(order, model.shards[0].corner.input, sender=client)
    query = world.requested()
    pass_blocks(2)
    found = answer(world, court, query, said)
    return found, stakes(found)


def show(court, found: Answered, model: Provable, sender: str) -> Case:
    """The corner's proof of shard 0, which the model's own prover made."""
    found.announce(sender)
    corner = model.shards[0].corner
    given = (0, found.members(0), found.version, corner.input, corner.output, corner.proof)
    court.show_fault(*found.arguments, *given, sender=sender)
    (event,) = events(court, "ChallengeOpened")
    return Case(found, tuple(event.challenge), sender, 0)


def test_no_honest_signer_loses_stake_by_a_circuit_that_disagrees_with_its_table(
    world, court, client, outsider, model
):
    """A developer registers circuits of another model and proves every honest answer wrong: the
    proofs hold, and the judge knows nothing but the table."""
    table = model.disagreeing()
    truth = witness_of(table, [model.shards[0].corner.input])
    found, before = answered(world, court, client, model, truth)
    case = show(court, found, model, outsider)
    match = case.defend(found.signers(0)[2], truth)
    believer = Challenger(Witness(table, model.proved.values), 0)
    with boa.reverts("court: nothing is wrong"):
        match.to_the_end(believer)
    match.expire()
    assert case.conclude() == STANDING
    assert stakes(found) == before
    assert not court.has_fallen(found.query.query_id, 0)


def test_a_real_proof_of_another_output_convicts_who_cannot_defend(
    world, court, client, outsider, model
):
    """Members agree on the output of another model than the version's."""
    values = witness_of(model.disagreeing(), [model.shards[0].corner.input]).values
    found, before = answered(world, court, client, model, Witness(model.table, values))
    case = show(court, found, model, outsider)
    assert case.bond == 0
    pass_blocks(1, case.defence_ends + 1 - boa.env.timestamp)
    assert case.conclude() == FALLEN
    assert stakes(found) == {signer: stake - STAKE for signer, stake in before.items()}


def test_an_answer_that_the_circuit_proves_cannot_be_accused_by_it(
    world, court, client, outsider, model
):
    found, _ = answered(world, court, client, model, model.proved)
    with boa.reverts("court: proof of the same output"):
        show(court, found, model, outsider)
