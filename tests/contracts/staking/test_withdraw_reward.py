import boa


def test_rewards_add_up_and_are_paid_once(vault, token, register, stake, operator, actors, slash):
    register(operator)
    stake(operator, 100)
    for _ in range(2):
        slash(operator, 20)
    assert vault.withdraw_reward(actors.beneficiary) == 10
    assert token.balanceOf(actors.beneficiary) == 10
    assert vault.total_rewards() == vault.rewards(actors.beneficiary) == 0
    assert token.balanceOf(vault) == vault.total_stake() == 60
    with boa.reverts("vault: no reward"):
        vault.withdraw_reward(actors.beneficiary)


def test_anybody_may_send_an_account_its_reward(
    vault, token, register, stake, operator, outsider, actors, slash
):
    """A client that the court repaid may be a contract that never heard of the vault."""
    register(operator)
    stake(operator, 100)
    slash(operator, 20)
    assert vault.withdraw_reward(actors.beneficiary, sender=outsider) == 5
    assert (token.balanceOf(actors.beneficiary), token.balanceOf(outsider)) == (5, 0)
