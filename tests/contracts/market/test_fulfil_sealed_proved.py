"""Proved answers to sealed queries: the chain gets digests where it got tensors."""

from copy import copy

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.circuits import CircuitKind, ShownEdge
from nesa.protocol.digests import boundary_digest
from nesa.protocol.queries import Assurance, Privacy, QueryStatus, report_words
from tests.contracts.verifiers import Behaviour, code_hash, deploy_verifier, true_proof
from tests.deployment import key_of, next_epoch, register_version, with_hashed_circuits
from tests.market import OUTPUT_EDGE, TENSORS, edges, facts, pass_blocks, seed_of
from tests.reports import shard_works

HASHED, HASHED_ANSWER = CircuitKind.HASHED, CircuitKind.HASHED_ANSWER
ANSWER = TENSORS[2][-1]
SEALED_ANSWER = b"ciphertext of an answer"


def digest(name):
    """Stands for what a proof shows of a tensor."""
    return bytes(1) + keccak(text=name)[1:]


INPUT, MIDDLE, OUTPUT = map(digest, ("input", "middle", "output"))


class Version:
    """A version of two shards whose circuits hash, and its operators."""

    def within(self, world):
        """The same in a copy of its world."""
        version = copy(self)
        version.world = world
        return version

    def __init__(self, world, kind):
        self.world, self.kind = world, kind
        verifier = deploy_verifier(Behaviour.CHECKS)
        shards = with_hashed_circuits(facts(2), code_hash(verifier), kind)
        registry = world.lower.registry
        self.id = register_version(
            registry, world.developer, shards, (verifier,) * 2, operators_root=kind.encode() * 2
        )
        keys = [keccak(key_of(shard)) for shard in range(2)]
        registry.declare_hashed(self.id, kind is CircuitKind.HASHED_ANSWER, keys)
        for shard in range(2):
            corner = self.shown()[shard : shard + 2]
            registry.prove_corner(self.id, shard, *corner, self.proofs()[shard])
        for number in range(8):
            world.operator(f"{kind}-{number}", [(self.id, number % 2)])
        next_epoch()
        pass_blocks(1, 0)

    def shown(self, first=INPUT, middle=MIDDLE):
        """What the chain gets of every boundary."""
        hides_answer = self.kind is CircuitKind.HASHED_ANSWER
        return (first, middle, OUTPUT if hides_answer else ANSWER)

    def proofs(self, first=INPUT, middle=MIDDLE):
        """What the stand-in verifiers accept."""
        data = self.shown(first, middle)
        hidden = [True, True, self.kind is CircuitKind.HASHED_ANSWER]
        shown = [ShownEdge(*pair) for pair in zip(edges(2), hidden, strict=True)]
        return [true_proof(shown[i : i + 2], data[i : i + 2]) for i in range(2)]

    def request(self, client, input_digest=INPUT, **changes):
        """Asks."""
        order = {
            "version_id": self.id,
            "assurance": Assurance.PROVED,
            "privacy": Privacy.SEALED,
            "input_digest": input_digest,
        }
        return self.world.request(client, 2, input=b"ciphertext", **(order | changes))

    def fulfil(self, query, middle=MIDDLE, shown=None, proofs=None, output=None):
        """Reports what the provers signed; honest but for what is given."""
        world = self.world
        payload = ANSWER if output is None else output
        out = OUTPUT if output is not None else boundary_digest([OUTPUT_EDGE], [ANSWER])
        works = shard_works(
            world.chain_id,
            world.market.address,
            query,
            seed_of(query),
            [world.drawn(query, shard, 1) for shard in range(2)],
            [middle, out],
            payload,
        )
        world.market.fulfil_proved(
            query.as_abi(),
            report_words([work.report() for work in works]),
            payload,
            list(shown or (query.input_digest, middle)),
            self.proofs() if proofs is None else proofs,
            sender=world.oracle(query),
        )
        return world.fulfilled()


@pytest.fixture(scope="module")
def versions(deployed_world):
    with boa.env.anchor():
        yield [Version(deployed_world.copy(), kind) for kind in (HASHED, HASHED_ANSWER)]


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
