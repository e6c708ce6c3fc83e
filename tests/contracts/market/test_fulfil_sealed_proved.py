"""Proved answers to sealed queries: the chain gets digests where it got tensors."""

import boa
import pytest

from nesa.protocol.queries import Assurance, Privacy, QueryStatus
from tests.hashed_versions import (
    ANSWER,
    HASHED,
    HASHED_ANSWER,
    INPUT,
    MIDDLE,
    OUTPUT,
    SEALED_ANSWER,
    HashedVersion,
    digest,
)
from tests.market import pass_blocks


@pytest.fixture(scope="module")
def versions(deployed_world):
    with boa.env.anchor():
        yield [HashedVersion(deployed_world.copy(), kind) for kind in (HASHED, HASHED_ANSWER)]


@pytest.fixture
def world(versions):
    """One world whose operators are those of both versions."""
    with boa.env.anchor():
        world = versions[0].world.copy()
        for version in versions:
            world.keys.update(version.world.keys)
            world.owners.update(version.world.owners)
        yield world


@pytest.fixture
def version(world, versions):
    return versions[0].within(world)


@pytest.fixture
def hidden(world, versions):
    return versions[1].within(world)


def test_a_sealed_query_is_proved_by_digests(world, client, version):
    query = version.request(client)
    outcome = version.fulfil(query)
    assert outcome.shards[0].out_digest == MIDDLE
    assert world.event("QueryFulfilled").output == ANSWER
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
    world.assert_solvent()


def test_an_answer_may_be_hidden_too(world, client, hidden):
    query = hidden.request(client)
    hidden.fulfil(query, output=OUTPUT + SEALED_ANSWER)
    assert world.event("QueryFulfilled").output == OUTPUT + SEALED_ANSWER


def test_a_hidden_answer_without_its_digest_reverts(client, hidden):
    query = hidden.request(client)
    with boa.reverts("router: proof refused"):
        hidden.fulfil(query, output=MIDDLE + SEALED_ANSWER)


def test_no_query_takes_the_proofs_of_another(world, client, outsider, version):
    """Whoever sees a proof on chain may be drawn for a query of its own."""
    version.fulfil(version.request(client))
    thief = world.client("thief")
    with boa.reverts("market: input asked before"):
        version.request(thief)
    query = version.request(thief, input_digest=digest("other input"))
    with boa.reverts("router: proof refused"):
        version.fulfil(query)
    with boa.reverts("committee: proof of other input"):
        version.fulfil(query, shown=(INPUT, MIDDLE))


def test_a_digest_that_was_refunded_is_not_taken_again(world, client, version):
    """Its members may have proved it; the client seals the same input with another key."""
    query = version.request(client)
    pass_blocks(1, query.answer_deadline - boa.env.timestamp + 1)
    world.market.refund(query.as_abi())
    with boa.reverts("market: input asked before"):
        version.request(client)


def test_agreed_queries_may_repeat_a_digest(client, version):
    agreed = {"assurance": Assurance.AGREED, "replicas": 4}
    version.request(client, **agreed)
    version.request(client, **agreed)
    version.request(client)


def test_proofs_that_do_not_meet_revert(client, version):
    query = version.request(client)
    other = digest("other middle")
    with boa.reverts("committee: proof of other output"):
        version.fulfil(query, middle=other, shown=(INPUT, MIDDLE))
    with boa.reverts("router: proof refused"):
        version.fulfil(query, middle=other)
    proofs = [version.proofs()[0], version.proofs(middle=other)[1]]
    with boa.reverts("router: proof refused"):
        version.fulfil(query, proofs=proofs)


def test_another_answer_than_was_proved_reverts(client, version):
    query = version.request(client)
    with boa.reverts("router: proof refused"):
        version.fulfil(query, output=bytes(4))


def test_proofs_that_hide_are_for_sealed_queries(client, version):
    with boa.reverts("market: proofs hide the input"):
        version.request(client, privacy=Privacy.OPEN)


def test_proofs_that_show_are_for_open_queries(world, client):
    with boa.reverts("market: proofs show the input"):
        world.request(
            client, 2, privacy=Privacy.SEALED, assurance=Assurance.PROVED, input_digest=INPUT
        )


def test_a_sealed_query_waits_for_disputes(world, client):
    query = world.request(
        client, assurance=Assurance.CHALLENGED, privacy=Privacy.SEALED, input_digest=INPUT
    )
    works = world.works(query, payload=SEALED_ANSWER)
    world.fulfil(query, [work.report() for work in works], SEALED_ANSWER)
    assert world.event("QueryFulfilled").output == SEALED_ANSWER
