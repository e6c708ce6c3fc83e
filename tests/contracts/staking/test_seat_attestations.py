"""Seats of versions that admit only operators whose keys an attestor saw inside an enclave."""

import boa
import pytest

from nesa.protocol.ids import ZERO_DIGEST
from tests.contracts.staking.conftest import NO_END, new_key
from tests.deployment import deployer, next_epoch, register_version
from tests.reports import signer_address

KEY, OTHER_KEY = b"\x11" * 32, b"\x22" * 32
EVIDENCE = b"\x09" * 32
DAY = 24 * 3600


@pytest.fixture
def attestor():
    return boa.env.generate_address("attestor")


@pytest.fixture
def attestations(vault, attestor):
    return deployer("registry/SeatAttestations").deploy(vault, attestor)


@pytest.fixture
def attested(lower, actors, attestations):
    """A version for attested seats only."""
    return register_version(lower.registry, actors.developer, admission=attestations.address)


@pytest.fixture
def attest(attestations, attestor):
    def attest(operator, signer, key=KEY, seconds=DAY):
        until = boa.env.timestamp + seconds
        attestations.attest(operator, signer, key, EVIDENCE, until, sender=attestor)
        return until

    return attest


@pytest.fixture
def seated(vault, register, stake, attest, attested, operator):
    """An attested operator in a seat; its signer and its slot."""
    signer = register(operator)
    stake(operator)
    attest(operator, signer)
    slot = vault.take_seat(attested, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    return signer, slot


def is_left(vault, version_id, slot):
    return vault.seats(version_id, 0, [slot])[0].to_epoch != NO_END


def test_without_a_statement_nobody_sits(vault, register, stake, attested, operator):
    register(operator)
    stake(operator)
    with boa.reverts("vault: not admitted"):
        vault.take_seat(attested, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)


def test_an_attested_operator_sits_and_nobody_ends_its_seat(vault, attested, seated, outsider):
    _, slot = seated
    with boa.reverts("vault: seat is covered"):
        vault.evict(attested, 0, slot, sender=outsider)


def test_a_statement_counts_until_its_last_second(vault, attested, seated, operator, outsider):
    _, slot = seated
    boa.env.timestamp += DAY
    with boa.reverts("vault: seat is covered"):
        vault.evict(attested, 0, slot, sender=outsider)
    boa.env.timestamp += 1
    before = vault.ledger(operator)
    vault.evict(attested, 0, slot, sender=outsider)
    assert is_left(vault, attested, slot)
    assert vault.ledger(operator) == before


def test_a_renewed_statement_keeps_the_seat(vault, attest, attested, seated, operator, outsider):
    signer, slot = seated
    boa.env.timestamp += DAY
    attest(operator, signer)
    boa.env.timestamp += DAY
    with boa.reverts("vault: seat is covered"):
        vault.evict(attested, 0, slot, sender=outsider)


def test_a_revoked_statement_ends_the_seat(
    vault, attestations, attestor, attested, seated, operator, outsider
):
    signer, slot = seated
    attestations.revoke(operator, signer, KEY, sender=attestor)
    vault.evict(attested, 0, slot, sender=outsider)
    assert is_left(vault, attested, slot)
    with boa.reverts("attestations: not attested"):
        attestations.revoke(operator, signer, KEY, sender=attestor)


def test_another_encryption_key_is_not_attested(
    vault, attest, attested, seated, operator, outsider
):
    signer, slot = seated
    vault.set_encryption_key(OTHER_KEY, sender=operator)
    with boa.env.anchor():
        attest(operator, signer, OTHER_KEY)
        with boa.reverts("vault: seat is covered"):
            vault.evict(attested, 0, slot, sender=outsider)
    vault.evict(attested, 0, slot, sender=outsider)
    assert is_left(vault, attested, slot)


def test_a_key_that_nobody_attested_is_not_used_before_its_seat_can_end(
    vault, attested, seated, operator, outsider
):
    _, slot = seated
    epoch = vault.epoch()
    vault.set_encryption_key(OTHER_KEY, sender=operator)
    next_epoch()
    with boa.env.anchor():
        # Announced and taken back at the seam of two epochs: it is never used.
        vault.set_encryption_key(KEY, sender=operator)
        assert vault.operators(operator).encryption_key == KEY
        with boa.reverts("vault: seat is covered"):
            vault.evict(attested, 0, slot, sender=outsider)
    vault.evict(attested, 0, slot, sender=outsider)
    ends = vault.seats(attested, 0, [slot])[0].to_epoch
    assert ends <= vault.operators(operator).key_epoch == epoch + 2


def test_while_a_key_changes_both_need_a_statement(
    vault, register, stake, attest, attested, operator
):
    signer = register(operator)
    stake(operator)
    vault.set_encryption_key(OTHER_KEY, sender=operator)
    attest(operator, signer, OTHER_KEY)
    with boa.reverts("vault: not admitted"):
        vault.take_seat(attested, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    next_epoch(2)
    vault.take_seat(attested, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)


def test_an_admission_that_fails_keeps_no_seat_without_cover(
    vault, attestations, attested, seated, slasher, operator, outsider
):
    # Whoever can make the admission fail could hold delegated stake in seats that nobody can end.
    _, slot = seated
    vault.slash(operator, 1, outsider, outsider, 0, sender=slasher)
    boa.env.set_code(attestations.address, b"\xfe")
    vault.evict(attested, 0, slot, sender=outsider)
    assert is_left(vault, attested, slot)


def test_another_signer_takes_no_seat(vault, register, stake, consent, attest, attested, operator):
    first = register(operator)
    stake(operator)
    attest(operator, first)
    key = new_key()
    vault.rotate_signer(signer_address(key), consent(key, operator), sender=operator)
    with boa.reverts("vault: not admitted"):
        vault.take_seat(attested, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)


def test_a_seat_keeps_the_signer_that_was_attested(
    vault, consent, attested, seated, operator, outsider
):
    _, slot = seated
    key = new_key()
    vault.rotate_signer(signer_address(key), consent(key, operator), sender=operator)
    with boa.reverts("vault: seat is covered"):
        vault.evict(attested, 0, slot, sender=outsider)


def test_only_the_attestor_states(attestations, attestor, operator, outsider):
    until = boa.env.timestamp
    statement = (operator, outsider, KEY)
    for sender in (operator, outsider):
        with boa.reverts("attestations: not the attestor"):
            attestations.attest(*statement, EVIDENCE, until, sender=sender)
        with boa.reverts("attestations: not the attestor"):
            attestations.revoke(*statement, sender=sender)
    with boa.reverts("attestations: over already"):
        attestations.attest(*statement, EVIDENCE, until - 1, sender=attestor)


def test_a_statement_names_its_evidence(attestations, attestor, attest, operator, outsider):
    until = attest(operator, outsider)
    (log,) = attestations.get_logs()
    assert (log.operator, log.signer, log.encryption_key) == (operator, outsider, KEY)
    assert (log.evidence, log.until) == (EVIDENCE, until)
    assert attestations.attestor() == attestor
    assert attestations.attested_until(operator, outsider, KEY) == until


def test_without_an_attestor_there_is_none(vault):
    with boa.reverts("attestations: no attestor"):
        deployer("registry/SeatAttestations").deploy(vault, "0x" + "00" * 20)


def test_an_admission_that_fails_seats_nobody_and_keeps_nobody_in(
    vault, lower, actors, register, stake, operator
):
    # A developer may name what is no contract; whoever sits elsewhere is not touched by it.
    broken = register_version(lower.registry, actors.developer, admission=actors.outsider)
    register(operator)
    stake(operator)
    with boa.reverts():
        vault.take_seat(broken, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    vault.begin_unbonding(1, sender=operator)
