import boa

from tests.deployment import next_epoch

FIRST, SECOND, THIRD = (bytes([value]) * 32 for value in (0x11, 0x22, 0x33))


def keys(vault, operator):
    record = vault.operators(operator)
    return record.encryption_key, record.next_encryption_key, record.key_epoch


def test_a_key_holds_from_the_epoch_after_the_next_on(vault, register, operator):
    register(operator)
    vault.set_encryption_key(SECOND, sender=operator)
    assert keys(vault, operator) == (FIRST, SECOND, vault.epoch() + 2)


def test_a_second_change_in_one_epoch_keeps_the_current_key(vault, register, operator):
    register(operator)
    vault.set_encryption_key(SECOND, sender=operator)
    vault.set_encryption_key(THIRD, sender=operator)
    assert keys(vault, operator) == (FIRST, THIRD, vault.epoch() + 2)


def test_a_change_in_a_later_epoch_moves_the_keys_on(vault, register, operator):
    register(operator)
    vault.set_encryption_key(SECOND, sender=operator)
    next_epoch(2)
    vault.set_encryption_key(THIRD, sender=operator)
    assert keys(vault, operator) == (SECOND, THIRD, vault.epoch() + 2)


def test_a_key_that_is_replaced_in_its_notice_is_never_used(vault, register, operator):
    register(operator)
    vault.set_encryption_key(SECOND, sender=operator)
    next_epoch()
    vault.set_encryption_key(THIRD, sender=operator)
    assert keys(vault, operator) == (FIRST, THIRD, vault.epoch() + 2)


def test_a_zero_key_reverts(vault, register, operator):
    register(operator)
    with boa.reverts("vault: encryption key is zero"):
        vault.set_encryption_key(bytes(32), sender=operator)


def test_others_revert(vault, outsider):
    with boa.reverts("vault: not an operator"):
        vault.set_encryption_key(FIRST, sender=outsider)
