import boa


def test_holds_are_counted(vault, operator, slasher):
    for expected in (1, 2):
        vault.hold(operator, sender=slasher)
        assert vault.ledger(operator).holds == expected
    for expected in (1, 0):
        vault.release_hold(operator, sender=slasher)
        assert vault.ledger(operator).holds == expected
    with boa.reverts("vault: no hold"):
        vault.release_hold(operator, sender=slasher)


def test_more_than_can_be_counted_revert(vault, operator, slasher):
    vault.eval(f"self._ledgers[{operator}] = {65_534 << 240}")
    vault.hold(operator, sender=slasher)
    with boa.reverts("vault: too many holds"):
        vault.hold(operator, sender=slasher)


def test_others_revert(vault, operator, outsider):
    for call in (vault.hold, vault.release_hold):
        with boa.reverts("vault: not the slasher"):
            call(operator, sender=outsider)
