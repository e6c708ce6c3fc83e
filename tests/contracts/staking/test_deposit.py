import boa


def test_stake_adds_up(vault, token, register, stake, operator):
    register(operator)
    stake(operator, 5)
    stake(operator, 7)
    assert tuple(vault.ledger(operator)) == (12, 0, 0, 0, 0)
    assert vault.total_stake() == token.balanceOf(vault) == 12


def test_anybody_deposits_for_an_operator(vault, token, register, actors, operator):
    register(operator)
    token.approve(vault, 9, sender=actors.holder)
    vault.deposit_for(operator, 9, sender=actors.holder)
    assert vault.ledger(operator).stake == 9


def test_the_whole_supply_fits(vault, token, register, actors, operator):
    register(operator)
    supply = token.balanceOf(actors.holder)
    token.approve(vault, supply, sender=actors.holder)
    vault.deposit_for(operator, supply, sender=actors.holder)
    assert vault.ledger(operator).stake == supply


def test_nothing_reverts(vault, register, operator):
    register(operator)
    with boa.reverts("vault: nothing to deposit"):
        vault.deposit(0, sender=operator)


def test_without_an_operator_reverts(vault, actors, outsider):
    with boa.reverts("vault: not an operator"):
        vault.deposit(1, sender=outsider)
    with boa.reverts("vault: not an operator"):
        vault.deposit_for(outsider, 1, sender=actors.holder)


def test_without_an_allowance_reverts(vault, register, operator):
    register(operator)
    with boa.reverts("erc20: insufficient allowance"):
        vault.deposit(1, sender=operator)
