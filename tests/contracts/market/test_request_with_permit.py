"""Asking and paying in one transaction."""

import boa

from nesa.protocol.ids import ONE_NES
from tests.contracts.market.permits import permit, signing_client
from tests.market import TENSORS

INPUT = TENSORS[1][0]


def test_a_permit_pays(world):
    account = signing_client(world)
    deadline = boa.env.timestamp + 60
    order = world.order(max_fee=5 * ONE_NES)
    signature = permit(world, 5 * ONE_NES, deadline)
    world.market.request_with_permit(order, INPUT, deadline, *signature, sender=account)
    assert world.market.last_query_id() == 1
    assert world.lower.token.allowance(account, world.market) == ONE_NES


def test_a_wrong_permit_pays_nothing(world):
    account = signing_client(world)
    deadline = boa.env.timestamp + 60
    order = world.order(max_fee=5 * ONE_NES)
    signature = permit(world, 4 * ONE_NES, deadline)
    with boa.reverts("erc20: insufficient allowance"):
        world.market.request_with_permit(order, INPUT, deadline, *signature, sender=account)
