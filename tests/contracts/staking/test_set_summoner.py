import boa

NOBODY = "0x" + "00" * 20


def test_the_setter_names_it_once(fresh, actors, outsider):
    assert fresh.summoner() == NOBODY
    fresh.set_summoner(outsider, sender=actors.setter)
    assert fresh.summoner() == outsider
    with boa.reverts("vault: summoner is set"):
        fresh.set_summoner(actors.slasher, sender=actors.setter)


def test_nobody_as_summoner_reverts(fresh, actors):
    with boa.reverts("vault: no summoner"):
        fresh.set_summoner(NOBODY, sender=actors.setter)


def test_others_revert(fresh, outsider, actors):
    for account in (outsider, actors.owner):
        with boa.reverts("vault: not the setter"):
            fresh.set_summoner(account, sender=account)


def test_nobody_else_records_absences_or_jails(vault, actors, operator, version_id):
    for account in (operator, actors.setter, actors.slasher):
        with boa.reverts("vault: not the summoner"):
            vault.record_absence(b"\x01" * 32, 0, sender=account)
        with boa.reverts("vault: not the summoner"):
            vault.jail(version_id, operator, sender=account)
