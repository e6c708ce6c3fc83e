import boa

KEY = b"\x11" * 32
NOBODY = "0x" + "00" * 20


def test_the_caller_becomes_an_operator(vault, operator, outsider):
    vault.register_operator(outsider, KEY, "https://node", sender=operator)
    record = vault.operators(operator)
    assert (record.signer, record.endpoint) == (outsider, "https://node")
    assert (record.encryption_key, record.next_encryption_key) == (KEY, KEY)
    assert record.key_epoch == vault.epoch()
    assert vault.operator_of(outsider) == operator


def test_a_second_time_reverts(vault, operator, outsider):
    vault.register_operator(outsider, KEY, "https://node", sender=operator)
    with boa.reverts("vault: already an operator"):
        vault.register_operator(outsider, KEY, "https://other", sender=operator)


def test_a_signer_or_endpoint_of_another_reverts(vault, operator, outsider):
    vault.register_operator(operator, KEY, "https://node", sender=operator)
    with boa.reverts("vault: signer is taken"):
        vault.register_operator(operator, KEY, "https://other", sender=outsider)
    with boa.reverts("vault: endpoint is taken"):
        vault.register_operator(outsider, KEY, "https://node", sender=outsider)


def test_nothing_may_be_missing(vault, operator):
    with boa.reverts("vault: no signer"):
        vault.register_operator(NOBODY, KEY, "https://node", sender=operator)
    with boa.reverts("vault: no encryption key"):
        vault.register_operator(operator, bytes(32), "https://node", sender=operator)
    with boa.reverts("vault: no endpoint"):
        vault.register_operator(operator, KEY, "", sender=operator)


def test_operators_are_numbered_from_one(vault, operator, outsider):
    assert vault.operator_count() == vault.operator_number(operator) == 0
    assert vault.operator_at(0) == NOBODY
    for number, account in enumerate((operator, outsider), 1):
        vault.register_operator(account, KEY, f"https://{number}", sender=account)
        assert vault.operator_number(account) == number == vault.operator_count()
        assert vault.operator_at(number) == account
