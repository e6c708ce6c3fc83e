import boa
import pytest

from tests.deployment import GENESIS_SUPPLY


@pytest.fixture
def mintable(token, owner, minter):
    token.set_minter(minter, sender=owner)
    return token


def test_up_to_the_cap(mintable, minter, outsider):
    mintable.mint(outsider, 10**18 - GENESIS_SUPPLY, sender=minter)
    assert mintable.totalSupply() == mintable.cap()


def test_past_the_cap_reverts(mintable, minter, outsider):
    for amount in (10**18 - GENESIS_SUPPLY + 1, 2**256 - 1):
        with boa.reverts("token: beyond the cap"):
            mintable.mint(outsider, amount, sender=minter)


def test_what_was_burned_may_be_minted_again(mintable, minter, holder):
    mintable.burn(5, sender=holder)
    mintable.mint(holder, 10**18 - GENESIS_SUPPLY + 5, sender=minter)
    assert mintable.totalSupply() == mintable.cap()


def test_others_revert(mintable, owner, outsider):
    for account in (owner, outsider):
        with boa.reverts("token: not the minter"):
            mintable.mint(account, 1, sender=account)


def test_before_there_is_a_minter_everybody_reverts(token, owner):
    with boa.reverts("token: not the minter"):
        token.mint(owner, 1, sender=owner)
