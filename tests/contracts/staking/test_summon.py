import boa


def test_is_not_offered_yet(vault, operator):
    with boa.reverts("vault: not offered yet"):
        vault.summon(operator, 1, 0, 0)
