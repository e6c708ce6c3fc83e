import boa
import pytest

from tests.deployment import SHARDS


def test_a_retired_version_is_not_offered_but_can_be_read(registry, developer, version_id):
    registry.retire(version_id, sender=developer)
    with boa.reverts("registry: version is retired"):
        registry.offer(version_id)
    with boa.reverts("registry: version is retired"):
        registry.facts(version_id, 0)
    assert registry.shard(version_id, 0).file_digest == SHARDS[0].file_digest
    assert registry.shard_count(version_id) == 2


def test_a_second_time_reverts(registry, developer, version_id):
    registry.retire(version_id, sender=developer)
    with boa.reverts("registry: version is retired"):
        registry.retire(version_id, sender=developer)


def test_others_revert(registry, outsider, version_id):
    with boa.reverts("registry: not the developer"):
        registry.retire(version_id, sender=outsider)


def test_open_queries_can_still_be_proved(registry, developer, verifier, circuit_version_id):
    registry.retire(circuit_version_id, sender=developer)
    assert registry.proof_terms(circuit_version_id, 0)[0] == verifier.address


@pytest.mark.parametrize("index", [2, 2**255])
def test_shards_that_do_not_exist_revert(registry, version_id, index):
    with boa.reverts("registry: no such shard"):
        registry.facts(version_id, index)
    with boa.reverts("registry: no such shard"):
        registry.shard(version_id, index)


def test_unknown_versions_revert(registry):
    with boa.reverts("registry: unknown version"):
        registry.offer(bytes(32))
    with boa.reverts("registry: unknown version"):
        registry.facts(b"\x01" * 32, 0)
    with boa.reverts("registry: no such shard"):
        registry.shard(b"\x01" * 32, 0)
    assert registry.shard_count(b"\x01" * 32) == 0
