from dataclasses import astuple, replace

import boa
import pytest

from nesa.protocol.ids import ZERO_DIGEST, Amount
from tests.contracts.staking.conftest import NO_END, ORACLE_SHARD, SEAT_STAKE
from tests.contracts.verifiers import Behaviour, code_hash, deploy_verifier
from tests.deployment import REQUEST_LIMITS, SHARDS, next_epoch, register_version, with_circuits


def test_a_seat_holds_from_the_next_epoch_on(vault, sit, operator, version_id):
    slot = sit(operator, version_id, 1)
    (seat,) = vault.seats(version_id, 1, [slot])
    signer = vault.operators(operator).signer
    assert tuple(seat) == (operator, signer, vault.epoch() + 1, NO_END)
    assert vault.seat_lock(version_id, 1, slot) == SEAT_STAKE
    assert vault.seat_of(version_id, operator) == (1, slot)
    assert vault.ledger(operator).locked == SEAT_STAKE
    assert vault.active_counts(version_id, 2) == 0
    next_epoch()
    assert vault.active_counts(version_id, 2) == 1 << 24


def test_slots_are_counted_up(vault, sit, version_id):
    seated = [sit(boa.env.generate_address(), version_id, 0) for _ in range(3)]
    assert seated == [0, 1, 2]
    assert vault.seat_counts(version_id, 2) == 3


def test_one_seat_a_version(vault, sit, operator, version_id):
    sit(operator, version_id, 0)
    sit(operator)
    for version, shard in ((version_id, 0), (version_id, 1), (ZERO_DIGEST, ORACLE_SHARD)):
        with boa.reverts("vault: already seated"):
            sit(operator, version, shard)


def test_the_lock_is_that_of_the_moment(lower, vault, sit, stake, actors, operator, version_id):
    sit(operator, version_id, 0)
    limits = replace(REQUEST_LIMITS, seat_stake=Amount(3 * SEAT_STAKE))
    lower.parameters.set_request_limits(astuple(limits), sender=actors.owner)
    with boa.reverts("vault: too little stake"):
        sit(operator)
    stake(operator, 2 * SEAT_STAKE)
    vault.take_seat(ZERO_DIGEST, ORACLE_SHARD, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    assert vault.seat_lock(version_id, 0, 0) == SEAT_STAKE
    assert vault.seat_lock(ZERO_DIGEST, ORACLE_SHARD, 0) == 3 * SEAT_STAKE


def test_free_stake_must_cover_it(vault, register, stake, operator, version_id):
    register(operator)
    stake(operator, SEAT_STAKE - 1)
    with boa.reverts("vault: too little stake"):
        vault.take_seat(version_id, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    stake(operator, 1)
    vault.take_seat(version_id, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)


def test_others_revert(vault, outsider, version_id):
    with boa.reverts("vault: not an operator"):
        vault.take_seat(version_id, 0, ZERO_DIGEST, ZERO_DIGEST, sender=outsider)


@pytest.fixture
def circuit_version(lower, actors):
    verifier = deploy_verifier(Behaviour.CHECKS)
    shards = with_circuits(SHARDS, code_hash(verifier))
    return register_version(lower.registry, actors.developer, shards, (verifier, verifier)), shards


def test_stated_digests_must_be_the_registered(vault, register, stake, operator, circuit_version):
    register(operator)
    stake(operator)
    version_id, shards = circuit_version
    stated = (shards[1].circuit_digest, shards[1].verifier_code_hash)
    with boa.reverts("vault: other circuit"):
        vault.take_seat(version_id, 0, *stated, sender=operator)
    with boa.reverts("vault: other verifier"):
        vault.take_seat(version_id, 1, stated[0], ZERO_DIGEST, sender=operator)
    vault.take_seat(version_id, 1, *stated, sender=operator)
    assert vault.get_logs()[-1].circuit_digest == stated[0]


def test_oracles_have_neither_version_nor_circuit(vault, register, stake, operator, version_id):
    register(operator)
    stake(operator)
    word = b"\x01" * 32
    with boa.reverts("vault: oracles have no version"):
        vault.take_seat(version_id, ORACLE_SHARD, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    with boa.reverts("vault: other circuit"):
        vault.take_seat(ZERO_DIGEST, ORACLE_SHARD, word, ZERO_DIGEST, sender=operator)
    with boa.reverts("vault: other verifier"):
        vault.take_seat(ZERO_DIGEST, ORACLE_SHARD, ZERO_DIGEST, word, sender=operator)


def test_what_is_not_offered_reverts(lower, vault, actors, register, operator, version_id):
    register(operator)
    with boa.reverts("registry: no such shard"):
        vault.take_seat(version_id, 2, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    with boa.reverts("registry: no such shard"):
        vault.take_seat(version_id, 9, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    with boa.reverts("registry: unknown version"):
        vault.take_seat(ZERO_DIGEST, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    lower.registry.retire(version_id, sender=actors.developer)
    with boa.reverts("registry: version is retired"):
        vault.take_seat(version_id, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)


def test_a_full_list_reverts(vault, sit, operator, outsider):
    """A draw looks at 64 slots: a longer list could hide active seats from it."""
    assert [sit(boa.env.generate_address()) for _ in range(63)] == list(range(63))
    assert sit(operator) == 63
    with boa.reverts("vault: shard is full"):
        sit(outsider)
