import boa
import pytest

from nesa.protocol.ids import ONE_NES


def test_the_owner_names_the_minter(token, owner, minter):
    token.set_minter(minter, sender=owner)
    assert token.minter() == minter


def test_a_second_time_reverts(token, owner, minter, outsider):
    token.set_minter(minter, sender=owner)
    with boa.reverts("token: minter is set"):
        token.set_minter(outsider, sender=owner)


def test_nobody_as_minter_reverts(token, owner):
    with boa.reverts("token: no minter"):
        token.set_minter("0x" + "00" * 20, sender=owner)


@pytest.mark.parametrize("renounced", [False, True])
def test_others_revert(token, owner, outsider, renounced):
    if renounced:
        token.renounce_ownership(sender=owner)
    with boa.reverts("ownable: caller is not the owner"):
        token.set_minter(outsider, sender=outsider)


def test_the_minter_outlives_the_owner(token, owner, minter):
    token.set_minter(minter, sender=owner)
    token.renounce_ownership(sender=owner)
    token.mint(minter, ONE_NES, sender=minter)
    assert token.balanceOf(minter) == ONE_NES
