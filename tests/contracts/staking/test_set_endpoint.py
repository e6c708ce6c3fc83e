import boa


def test_the_former_endpoint_is_free_again(vault, register, operator, outsider):
    register(operator)
    register(outsider)
    vault.set_endpoint("https://new", sender=operator)
    assert vault.operators(operator).endpoint == "https://new"
    vault.set_endpoint(f"https://{operator}", sender=outsider)
    with boa.reverts("vault: endpoint is taken"):
        vault.set_endpoint("https://new", sender=outsider)


def test_ones_own_endpoint_can_be_stated_again(vault, register, operator):
    register(operator)
    vault.set_endpoint(f"https://{operator}", sender=operator)
    assert vault.operators(operator).endpoint == f"https://{operator}"


def test_no_endpoint_reverts(vault, register, operator):
    register(operator)
    with boa.reverts("vault: no endpoint"):
        vault.set_endpoint("", sender=operator)


def test_others_revert(vault, outsider):
    with boa.reverts("vault: not an operator"):
        vault.set_endpoint("https://new", sender=outsider)
