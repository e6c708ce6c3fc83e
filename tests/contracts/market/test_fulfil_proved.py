"""Bringing the answer to a proved query."""

import boa
import pytest

from nesa.protocol.digests import boundary_digest
from nesa.protocol.fees import split_fee
from nesa.protocol.queries import Assurance, QueryStatus
from tests.contracts.verifiers import true_proof
from tests.deployment import QUERY_PARAMETERS
from tests.market import INPUT_EDGE, OUTPUT_EDGE, TENSORS, go_to, seed_of
from tests.reports import Work, shard_works, signer_address

TURN = QUERY_PARAMETERS.prover_turn


def proved(world, client, shards=1):
    return world.request(client, shards, assurance=Assurance.PROVED)


def by_spare(world, query, position):
    """A report in which the prover at `position` did the work."""
    spare = world.drawn(query, 0, position + 1)[position]
    first = world.works(query)[0]
    work = Work(first.context, (spare,), first.in_digest, first.out_digest, first.payload_hash)
    result = work.result(0, work.commitments(), slot=position)
    report = work.report()
    return [type(report)(0, report.out_digest, report.commitments, (result,))]


@pytest.mark.parametrize("shards", [1, 2])
def test_every_prover_is_paid(world, client, shards):
    query = proved(world, client, shards)
    outcome = world.fulfil_proved(query)
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
    assert [shard.paid for shard in outcome.shards] == [1] * shards
    for shard in range(shards):
        prover = world.owners[signer_address(world.drawn(query, shard, 1)[0])]
        assert world.waiting(prover) == split_fee(query).slot
    world.assert_solvent()


def test_an_agreed_query_reverts(world, client):
    query = world.request(client)
    with boa.reverts("market: not a proved query"):
        world.fulfil_proved(query)


def test_a_spare_may_step_in_when_its_turn_has_come(world, client, outsider):
    query = proved(world, client)
    report = by_spare(world, query, 1)
    go_to(query.opened_at + TURN)
    outcome = world.fulfil_proved(query, report, sender=world.oracle(query, TURN // 10))
    assert outcome.shards[0].paid == 0b10
    spare = world.owners[signer_address(world.drawn(query, 0, 2)[1])]
    assert world.waiting(spare) == split_fee(query).slot
    world.assert_solvent()


def test_a_spare_before_its_turn_reverts(world, client):
    query = proved(world, client)
    go_to(query.opened_at + TURN - 1)
    with boa.reverts("committee: prover out of turn"):
        world.fulfil_proved(query, by_spare(world, query, 1), sender=world.oracle(query, 1))


def test_a_spare_after_the_last_place_reverts(world, client, outsider):
    query = proved(world, client)
    go_to(query.opened_at + 59)
    with boa.reverts("committee: no such prover"):
        world.fulfil_proved(query, by_spare(world, query, 3), sender=outsider)


def test_the_first_prover_keeps_its_place(world, client, outsider):
    query = proved(world, client)
    go_to(query.opened_at + 59)
    world.fulfil_proved(query, sender=outsider)


def test_the_wrong_number_of_proofs_reverts(world, client):
    query = proved(world, client, 2)
    with boa.reverts("committee: wrong proof count"):
        world.fulfil_proved(query, proofs=world.proofs(query)[:1])


def test_the_wrong_number_of_tensors_reverts(world, client):
    query = proved(world, client, 2)
    tensors = TENSORS[2]
    with boa.reverts("committee: wrong tensor count"):
        world.fulfil_proved(query, tensors=(tensors[0], tensors[2]))


def test_a_proof_that_the_verifier_refuses_reverts(world, client):
    query = proved(world, client)
    with boa.reverts("router: proof refused"):
        world.fulfil_proved(query, proofs=[b"\x01" * 32])


def test_a_true_proof_of_another_answer_than_attested_reverts(world, client):
    query = proved(world, client)
    tensors = (TENSORS[1][0], bytes(4))
    # The member attests the honest digest and these four bytes; the proof is of the bytes.
    honest = world.works(query)[0]
    works = shard_works(
        world.chain_id,
        world.market.address,
        query,
        seed_of(query),
        [honest.members],
        [boundary_digest([OUTPUT_EDGE], [TENSORS[1][1]])],
        bytes(4),
    )
    proof = true_proof([INPUT_EDGE, OUTPUT_EDGE], tensors)
    with boa.reverts("committee: proof of other output"):
        world.fulfil_proved(query, [work.report() for work in works], tensors, [proof])
