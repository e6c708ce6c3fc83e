import boa

NOBODY = "0x" + "00" * 20


def test_seats_come_in_the_order_asked_for(vault, sit, version_id):
    accounts = [boa.env.generate_address() for _ in range(3)]
    for account in accounts:
        sit(account, version_id, 0)
    seated = vault.seats(version_id, 0, [2, 0, 7, 2])
    assert [seat.operator for seat in seated] == [accounts[2], accounts[0], NOBODY, accounts[2]]
    assert vault.seats(version_id, 1, [0])[0].operator == NOBODY


def test_slots_that_no_list_can_hold_revert(vault, version_id):
    with boa.reverts("vault: no such slot"):
        vault.seats(version_id, 0, [1 << 16])
    with boa.reverts("vault: no such shard"):
        vault.seats(version_id, 9, [0])
