import boa
import pytest

NOBODY = "0x" + "00" * 20


@pytest.mark.parametrize(
    ("recipient", "reason"),
    [
        ("treasury", "parameters: no treasury"),
        ("reviewer_pool", "parameters: no reviewer pool"),
    ],
)
def test_only_the_owner_sets_an_account(parameters, owner, outsider, recipient, reason):
    set_recipient = getattr(parameters, f"set_{recipient}")
    set_recipient(outsider, sender=owner)
    assert getattr(parameters, recipient)() == outsider
    with boa.reverts(reason):
        set_recipient(NOBODY, sender=owner)
    with boa.reverts("ownable: caller is not the owner"):
        set_recipient(outsider, sender=outsider)


def test_a_new_owner_accepts(parameters, owner, outsider):
    parameters.transfer_ownership(outsider, sender=owner)
    assert (parameters.owner(), parameters.pending_owner()) == (owner, outsider)
    parameters.accept_ownership(sender=outsider)
    assert parameters.owner() == outsider
    with boa.reverts("ownable: caller is not the owner"):
        parameters.set_treasury(outsider, sender=owner)


def test_without_an_owner_nothing_changes_any_more(parameters, owner):
    parameters.renounce_ownership(sender=owner)
    with boa.reverts("ownable: caller is not the owner"):
        parameters.set_treasury(owner, sender=owner)
