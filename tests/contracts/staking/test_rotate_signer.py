import boa
import pytest

from nesa.protocol.ids import ZERO_DIGEST
from tests.contracts.staking.conftest import ORACLE_SHARD, new_key
from tests.reports import signer_address


@pytest.fixture
def rotate(vault, consent):
    """Gives an operator another signer."""

    def rotate(operator, key):
        signer = signer_address(key)
        vault.rotate_signer(signer, consent(key, operator), sender=operator)
        return signer

    return rotate


def test_a_seat_keeps_its_signer(vault, sit, stake, rotate, operator, version_id):
    slot = sit(operator)
    former = vault.operators(operator).signer
    signer = rotate(operator, new_key())
    stake(operator)
    vault.take_seat(version_id, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)

    assert vault.seats(ZERO_DIGEST, ORACLE_SHARD, [slot])[0].signer == former
    assert vault.seats(version_id, 0, [0])[0].signer == signer
    assert vault.operator_of(former) == vault.operator_of(signer) == operator


def test_a_former_signer_may_come_back(vault, register, rotate, operator):
    key = new_key()
    former = register(operator, key)
    rotate(operator, new_key())
    rotate(operator, key)
    assert vault.operators(operator).signer == former


def test_a_former_signer_of_another_reverts(register, rotate, operator, outsider):
    key = new_key()
    register(operator, key)
    rotate(operator, new_key())
    register(outsider)
    with boa.reverts("vault: signer is taken"):
        rotate(outsider, key)


def test_a_signer_that_did_not_consent_reverts(vault, register, consent, operator, outsider):
    register(operator)
    key = new_key()
    with boa.reverts("vault: signer did not consent"):
        vault.rotate_signer(signer_address(key), consent(key, outsider), sender=operator)


def test_no_signer_reverts(vault, register, operator):
    register(operator)
    with boa.reverts("vault: no signer"):
        vault.rotate_signer("0x" + "00" * 20, (bytes(32), bytes(32)), sender=operator)


def test_others_revert(vault, outsider):
    with boa.reverts("vault: not an operator"):
        vault.rotate_signer(outsider, (bytes(32), bytes(32)), sender=outsider)
