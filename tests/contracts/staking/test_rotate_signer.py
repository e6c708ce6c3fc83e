import boa

from nesa.protocol.ids import ZERO_DIGEST
from tests.contracts.staking.conftest import ORACLE_SHARD


def test_a_seat_keeps_its_signer(vault, sit, stake, operator, version_id):
    slot = sit(operator)
    former = vault.operators(operator).signer
    signer = boa.env.generate_address("signer")
    vault.rotate_signer(signer, sender=operator)
    stake(operator)
    vault.take_seat(version_id, 0, ZERO_DIGEST, ZERO_DIGEST, sender=operator)

    assert vault.seats(ZERO_DIGEST, ORACLE_SHARD, [slot])[0].signer == former
    assert vault.seats(version_id, 0, [0])[0].signer == signer
    assert vault.operator_of(former) == vault.operator_of(signer) == operator


def test_a_former_signer_may_come_back(vault, register, operator):
    former = register(operator)
    vault.rotate_signer(operator, sender=operator)
    vault.rotate_signer(former, sender=operator)
    assert vault.operators(operator).signer == former


def test_a_former_signer_of_another_reverts(vault, register, operator, outsider):
    former = register(operator)
    vault.rotate_signer(operator, sender=operator)
    register(outsider)
    with boa.reverts("vault: signer is taken"):
        vault.rotate_signer(former, sender=outsider)


def test_no_signer_reverts(vault, register, operator):
    register(operator)
    with boa.reverts("vault: no signer"):
        vault.rotate_signer("0x" + "00" * 20, sender=operator)


def test_others_revert(vault, outsider):
    with boa.reverts("vault: not an operator"):
        vault.rotate_signer(outsider, sender=outsider)
