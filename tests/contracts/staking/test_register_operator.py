import boa
import pytest

from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import Address
from tests.contracts.staking.conftest import new_key
from tests.reports import signer_address

KEY = b"\x11" * 32
NOBODY = "0x" + "00" * 20


def test_the_caller_becomes_an_operator(vault, register, operator):
    signer = register(operator, endpoint="https://node")
    record = vault.operators(operator)
    assert (record.signer, record.endpoint) == (signer, "https://node")
    assert (record.encryption_key, record.next_encryption_key) == (KEY, KEY)
    assert record.key_epoch == vault.epoch()
    assert vault.operator_of(signer) == operator


def test_a_second_time_reverts(register, operator):
    register(operator)
    with boa.reverts("vault: already an operator"):
        register(operator)


def test_a_signer_of_another_reverts(register, operator, outsider):
    key = new_key()
    register(operator, key)
    with boa.reverts("vault: signer is taken"):
        register(outsider, key)


def test_two_operators_may_share_an_endpoint(vault, register, operator, outsider):
    for account in (operator, outsider):
        register(account, endpoint="https://node")
        assert vault.operators(account).endpoint == "https://node"


def test_a_signer_that_did_not_consent_reverts(vault, consent, operator, outsider):
    """Nobody takes an address that somebody else signs and earns with."""
    key, thief = new_key(), new_key()
    for given in (consent(thief, operator), consent(key, outsider), (bytes(32), bytes(32))):
        with boa.reverts("vault: signer did not consent"):
            vault.register_operator(
                signer_address(key), given, KEY, "https://node", sender=operator
            )


@pytest.mark.parametrize("place", ["chain", "vault"])
def test_a_consent_for_another_place_reverts(vault, operator, place):
    key, chain_id = new_key(), int(boa.env.evm.patch.chain_id)
    elsewhere = (chain_id + 1, vault.address) if place == "chain" else (chain_id, operator)
    given = sign_consent(key, elsewhere[0], Address(elsewhere[1]), Address(operator))
    with boa.reverts("vault: signer did not consent"):
        vault.register_operator(signer_address(key), given, KEY, "https://node", sender=operator)


def test_nothing_may_be_missing(vault, register, operator):
    nothing = (bytes(32), bytes(32))
    with boa.reverts("vault: no signer"):
        vault.register_operator(NOBODY, nothing, KEY, "https://node", sender=operator)
    with boa.reverts("vault: no encryption key"):
        register(operator, encryption_key=bytes(32))
    with boa.reverts("vault: no endpoint"):
        register(operator, endpoint="")


def test_operators_are_numbered_from_one(vault, register, operator, outsider):
    assert vault.operator_count() == vault.operator_number(operator) == 0
    assert vault.operator_at(0) == NOBODY
    for number, account in enumerate((operator, outsider), 1):
        register(account)
        assert vault.operator_number(account) == number == vault.operator_count()
        assert vault.operator_at(number) == account
