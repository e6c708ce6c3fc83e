from dataclasses import replace

import boa
import pytest

from nesa.chain.contracts import ZERO_ADDRESS
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST, Digest
from nesa.protocol.versions import ShardFacts, version_id, version_root
from tests.contracts.verifiers import code_hash
from tests.deployment import (
    INPUT_EDGE,
    MIDDLE_EDGE,
    OUTPUT_EDGE,
    SHARDS,
    register_version,
    with_circuits,
)

WIDE_EDGE = EdgeType(DType.INT8, (126,), -127, 127)


def shard(inputs, outputs) -> ShardFacts:
    return ShardFacts(tuple(inputs), tuple(outputs), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)


def test_the_id_is_the_protocols(registry, developer):
    registered = register_version(registry, developer)
    root = version_root(b"\x01" * 32, SHARDS, b"\x02" * 32)
    assert registered == version_id(developer, root)

    logs = registry.get_logs()
    assert [type(log).__name__ for log in logs] == ["VersionRegistered", "PriceChanged"]
    assert (logs[0].root, logs[0].developer, logs[0].name) == (root, developer, "model")


def test_the_offer_tells_what_a_request_needs(registry, developer):
    registered = register_version(registry, developer)
    assert registry.developer_of(registered) == developer
    offer = registry.offer(registered)
    assert (offer.shards, offer.royalty_bps, offer.provable) == (2, 1_000, False)
    assert (offer.price, offer.proof_price) == (ONE_NES, 5 * ONE_NES)
    assert (offer.input_edge, offer.output_edge) == (INPUT_EDGE.pack(), OUTPUT_EDGE.pack())


def test_every_shard_can_be_read_back(registry, version_id):
    for index, facts in enumerate(SHARDS):
        inputs, outputs, *digests = registry.shard(version_id, index)
        assert (list(inputs), list(outputs), *digests) == facts.as_abi()
        assert registry.facts(version_id, index) == (ZERO_DIGEST, ZERO_DIGEST)
        assert registry.verifier(version_id, index) == "0x" + "00" * 20
    assert registry.shard_count(version_id) == 2


def test_eight_shards_with_four_edges_between_them(registry, developer):
    many = [MIDDLE_EDGE] * 4
    shards = (shard([INPUT_EDGE], many), *6 * (shard(many, many),), shard(many, [OUTPUT_EDGE]))
    registered = register_version(registry, developer, shards)
    root = version_root(b"\x01" * 32, shards, b"\x02" * 32)
    assert registered == version_id(developer, root)
    assert registry.offer(registered).shards == 8


def test_circuits_are_bound_to_their_verifiers_code(
    registry, verifier, circuit_version_id, circuit_shards
):
    for index, facts in enumerate(circuit_shards):
        expected = (facts.circuit_digest, facts.verifier_code_hash)
        assert registry.facts(circuit_version_id, index) == expected
        assert registry.verifier(circuit_version_id, index) == verifier.address
        edges = (facts.input_edges[0].pack(), facts.output_edges[0].pack())
        assert registry.proof_terms(circuit_version_id, index) == (verifier.address, *edges)
    assert not registry.offer(circuit_version_id).provable


def test_a_second_time_reverts(registry, developer, version_id):
    with boa.reverts("registry: already registered"):
        register_version(registry, developer, price=7)


def test_another_developer_gets_an_id_of_its_own(registry, developer, outsider, version_id):
    assert register_version(registry, outsider) != version_id


@pytest.mark.parametrize(
    ("shards", "reason"),
    [
        ((), "registry: no shards"),
        ((shard([], [OUTPUT_EDGE]),), "registry: not one input"),
        ((shard([INPUT_EDGE] * 2, [OUTPUT_EDGE]),), "registry: not one input"),
        ((shard([INPUT_EDGE], []),), "registry: not one output"),
        ((shard([INPUT_EDGE], [OUTPUT_EDGE] * 2),), "registry: not one output"),
        ((SHARDS[0], shard([], [OUTPUT_EDGE])), "registry: edges do not meet"),
        ((shard([INPUT_EDGE], []), shard([], [OUTPUT_EDGE])), "registry: no output edge"),
        ((SHARDS[0], shard([INPUT_EDGE], [OUTPUT_EDGE])), "registry: edges do not meet"),
        ((SHARDS[0], shard([MIDDLE_EDGE] * 2, [OUTPUT_EDGE])), "registry: edges do not meet"),
    ],
)
def test_shards_that_do_not_join_revert(registry, developer, shards, reason):
    with boa.reverts(reason):
        register_version(registry, developer, shards)


@pytest.mark.parametrize(("position", "reason"), [(0, "input edge"), (1, "output edge")])
def test_edges_that_are_not_canonical_revert(registry, developer, position, reason):
    facts = list(shard([INPUT_EDGE], [OUTPUT_EDGE]).as_abi())
    facts[position] = [b"\x02" + facts[position][0][1:]]
    with boa.reverts(f"registry: {reason}"):
        registry.register(
            "", "", bytes(32), bytes(32), [facts], [], 0, 0, 0, ZERO_ADDRESS, sender=developer
        )


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"royalty_bps": 2_001}, "registry: royalty too large"),
        ({"price": 10**16 + 1}, "registry: price too large"),
        ({"proof_price": 10**16 + 1}, "registry: proof price too large"),
    ],
)
def test_terms_out_of_bounds_revert(registry, developer, terms, reason):
    with boa.reverts(reason):
        register_version(registry, developer, **terms)


def test_circuits_are_all_or_none(registry, developer, verifier, circuit_shards):
    half = (circuit_shards[0], SHARDS[1])
    with boa.reverts("registry: circuits all or none"):
        register_version(registry, developer, half, (verifier, verifier))
    with boa.reverts("registry: circuits all or none"):
        register_version(registry, developer, circuit_shards)
    with boa.reverts("registry: not one verifier each"):
        register_version(registry, developer, circuit_shards, (verifier,))
    unbound = (circuit_shards[0], replace(circuit_shards[1], verifier_code_hash=ZERO_DIGEST))
    with boa.reverts("registry: verifiers all or none"):
        register_version(registry, developer, unbound, (verifier, verifier))
    stray = (SHARDS[0], replace(SHARDS[1], verifier_code_hash=Digest(b"\x01" * 32)))
    with boa.reverts("registry: verifiers all or none"):
        register_version(registry, developer, stray)


def test_a_verifier_of_other_code_reverts(registry, developer, verifier, circuit_shards):
    with boa.reverts("registry: other verifier"):
        register_version(registry, developer, circuit_shards, (verifier, registry))


@pytest.mark.parametrize(
    ("shards", "reason"),
    [
        ((shard([WIDE_EDGE], [MIDDLE_EDGE]),), "registry: circuit too wide"),
        (
            (shard([INPUT_EDGE], [MIDDLE_EDGE] * 2), shard([MIDDLE_EDGE] * 2, [OUTPUT_EDGE])),
            "registry: circuit outputs",
        ),
    ],
)
def test_a_circuit_needs_few_values_on_single_edges(registry, developer, verifier, shards, reason):
    with boa.reverts(reason):
        register_version(
            registry,
            developer,
            with_circuits(shards, code_hash(verifier)),
            len(shards) * (verifier,),
        )


def test_a_circuit_of_128_values_is_taken(registry, developer, verifier):
    shards = with_circuits((shard([WIDE_EDGE], [OUTPUT_EDGE]),), code_hash(verifier))
    register_version(registry, developer, shards, (verifier,))
