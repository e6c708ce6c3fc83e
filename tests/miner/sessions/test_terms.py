"""Whom a member serves, what it takes for a voucher, and when it brings one to the chain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey

from nesa.protocol.errors import InvalidMessage, NotEntitled
from nesa.protocol.ids import Address, Amount, BlockNumber, Timestamp
from nesa.protocol.messages import SessionRequest
from nesa.protocol.sessions import Voucher, sign_voucher
from nesa_miner.sessions.terms import (
    PIN_AFTER,
    Forget,
    HeldVoucher,
    Pin,
    Redeem,
    newer_voucher,
    next_step,
    require_open,
    require_paid,
    require_products,
)

from .attended import CONTRACT, OPERATORS, PAYER, PRICE, SESSION, TERMS, attendance

ATTENDED = attendance()
STRANGER = PrivateKey(b"\x05" * 32)


def paying(amount: int, **other: object) -> SessionRequest:
    """A request with a voucher that is right but for what is changed."""
    values = {"key": PAYER, "chain": 31337, "contract": CONTRACT, "operator": OPERATORS[0]}
    values |= {"session": SESSION.session_id, **other}
    voucher = Voucher(values["session"], values["operator"], Amount(amount))  # type: ignore[arg-type]
    signature = sign_voucher(values["key"], values["chain"], values["contract"], voucher)  # type: ignore[arg-type]
    return SessionRequest(SESSION.session_id, Amount(amount), *signature, bytes(32), b"")


def test_only_the_payer_asks_while_the_session_lasts():
    require_open(ATTENDED, ATTENDED.payer, Timestamp(TERMS.answer_deadline))
    with pytest.raises(NotEntitled, match="only the payer"):
        require_open(ATTENDED, OPERATORS[0], Timestamp(0))
    with pytest.raises(InvalidMessage, match="is over"):
        require_open(ATTENDED, ATTENDED.payer, Timestamp(TERMS.answer_deadline + 1))


def test_products_are_one_developers_versions_of_one_shard():
    """A stranger could list any version behind one with seats, and have its members load it."""
    developer, stranger = OPERATORS[:2]
    require_products([developer] * 3, [1, 1, 1])
    with pytest.raises(NotEntitled, match="not all of one developer"):
        require_products([developer, stranger], [1, 1])
    with pytest.raises(NotEntitled, match="no version of one shard"):
        require_products([developer, developer], [1, 2])


@pytest.mark.parametrize(("served", "paid"), [(0, 0), (1, 100), (2, 200), (2, 250)])
def test_one_product_is_worked_on_before_it_is_paid(served, paid):
    require_paid(ATTENDED, served, Amount(paid))


@pytest.mark.parametrize(("served", "paid"), [(1, 0), (1, 99), (2, 100)])
def test_a_second_one_is_not(served, paid):
    with pytest.raises(NotEntitled, match=f"{served} products are worth"):
        require_paid(ATTENDED, served, Amount(paid))


def test_stand_ins_in_the_group_cost_an_honest_member_nothing():
    """Two others failed, so it signed two products twice; no voucher is worth more than all."""
    attended = replace(ATTENDED, spares=2)
    products = len(attended.products)
    for served in range(products, products + 2):
        require_paid(attended, served, attended.most)
        with pytest.raises(NotEntitled, match="are worth a voucher of 300 units"):
            require_paid(attended, served, Amount(attended.most - 1))


def test_no_more_is_worked_for_than_can_be_needed():
    for spares in (0, 2):
        attended = replace(ATTENDED, spares=spares)
        with pytest.raises(NotEntitled, match="needs no more"):
            require_paid(attended, len(attended.products) + spares, attended.most)


def test_a_voucher_counts_when_it_is_worth_more():
    held = newer_voucher(ATTENDED, HeldVoucher(), paying(PRICE))
    assert held is not None
    assert held.amount == PRICE
    assert newer_voucher(ATTENDED, held, paying(PRICE)) is None
    assert newer_voucher(ATTENDED, held, paying(PRICE - 1)) is None
    assert newer_voucher(ATTENDED, held, paying(3 * PRICE)) is not None


def test_one_for_less_than_a_product_would_cost_its_member_more_gas_than_it_brings():
    with pytest.raises(InvalidMessage, match="one whole product at least"):
        newer_voucher(ATTENDED, HeldVoucher(), paying(PRICE - 1))


def test_one_for_more_than_all_products_would_be_refused_on_chain():
    with pytest.raises(InvalidMessage, match="worth 300 units"):
        newer_voucher(ATTENDED, HeldVoucher(), paying(3 * PRICE + 1))


@pytest.mark.parametrize(
    "other",
    [
        {"key": STRANGER},
        {"chain": 1},
        {"contract": Address("0x" + "99" * 20)},
        {"operator": OPERATORS[1]},
        {"session": SESSION.session_id + 1},
    ],
)
def test_a_voucher_of_somebody_else_or_for_something_else_is_none(other):
    with pytest.raises(InvalidMessage, match=r"not the payer's"):
        newer_voucher(ATTENDED, HeldVoucher(), paying(PRICE, **other))


OVER = Timestamp(TERMS.answer_deadline + 1)
TOO_LATE = Timestamp(ATTENDED.redeems_until + 1)
OLD = BlockNumber(TERMS.seed_block + PIN_AFTER)


@pytest.mark.parametrize(
    ("amount", "redeemed", "pinned", "head", "now", "step"),
    [
        (100, 0, False, 20, 2_000, None),
        (300, 0, False, 20, 2_000, Redeem()),
        (300, 300, False, 20, 2_000, None),
        (100, 0, False, OLD - 1, 2_000, None),
        (100, 0, False, OLD, 2_000, Pin()),
        (100, 0, True, OLD, 2_000, None),
        (100, 0, False, OLD, OVER, Redeem()),
        (100, 100, False, OLD, OVER, None),
        (100, 0, True, OLD, ATTENDED.redeems_until, Redeem()),
        (100, 0, True, OLD, TOO_LATE, Forget()),
    ],
)
def test_a_voucher_is_brought_when_it_is_full_or_its_session_over(
    amount, redeemed, pinned, head, now, step
):
    assert next_step(ATTENDED, Amount(amount), Amount(redeemed), pinned, head, now) == step
