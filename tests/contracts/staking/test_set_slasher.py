import boa

NOBODY = "0x" + "00" * 20


def test_the_setter_names_it_once(fresh, actors, outsider):
    assert fresh.slasher() == NOBODY
    fresh.set_slasher(actors.slasher, sender=actors.setter)
    assert fresh.slasher() == actors.slasher
    with boa.reverts("vault: slasher is set"):
        fresh.set_slasher(outsider, sender=actors.setter)


def test_nobody_as_slasher_reverts(fresh, actors):
    with boa.reverts("vault: no slasher"):
        fresh.set_slasher(NOBODY, sender=actors.setter)


def test_others_revert(fresh, outsider, actors):
    for account in (outsider, actors.owner):
        with boa.reverts("vault: not the setter"):
            fresh.set_slasher(account, sender=account)


def test_before_it_is_named_nobody_slashes(fresh, outsider):
    with boa.reverts("vault: not the slasher"):
        fresh.slash(outsider, 0, outsider, outsider, 0, sender=outsider)
