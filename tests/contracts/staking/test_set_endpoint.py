import boa


def test_an_operator_is_reached_elsewhere(vault, register, operator):
    register(operator)
    vault.set_endpoint("https://new", sender=operator)
    assert vault.operators(operator).endpoint == "https://new"


def test_no_endpoint_reverts(vault, register, operator):
    register(operator)
    with boa.reverts("vault: no endpoint"):
        vault.set_endpoint("", sender=operator)


def test_others_revert(vault, outsider):
    with boa.reverts("vault: not an operator"):
        vault.set_endpoint("https://new", sender=outsider)
