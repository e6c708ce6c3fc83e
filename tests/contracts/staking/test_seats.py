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
        vault.seats(version_id, 0, [64])
    with boa.reverts("vault: no such shard"):
        vault.seats(version_id, 9, [0])


def test_a_tenure_is_the_seat_in_one_word(vault, sit, version_id):
    account = boa.env.generate_address()
    slot = sit(account, version_id, 0)
    (seat,) = vault.seats(version_id, 0, [slot])
    word, vacant = vault.tenures(version_id, 0, [slot, 7])
    assert word == (
        int(seat.signer, 16)
        | vault.operator_number(account) << 160
        | seat.from_epoch << 192
        | seat.to_epoch << 224
    )
    assert vacant == 0
    vault.leave_seat(version_id, 0, slot, sender=account)
    (left,) = vault.tenures(version_id, 0, [slot])
    assert left == word & 2**224 - 1 | (vault.epoch() + 1) << 224


def test_tenures_refuse_the_slots_that_seats_refuse(vault, version_id):
    with boa.reverts("vault: no such slot"):
        vault.tenures(version_id, 0, [64])
