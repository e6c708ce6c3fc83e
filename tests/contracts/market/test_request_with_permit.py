"""Asking and paying in one transaction."""

import boa
from eth_account import Account
from eth_account.messages import encode_typed_data

from nesa.protocol.ids import ONE_NES
from tests.market import TENSORS

INPUT = TENSORS[1][0]
KEY = b"\x11" * 32


def permit(world, max_fee, deadline):
    token, owner = world.lower.token, Account.from_key(KEY).address
    domain = {
        "name": "Nesa",
        "version": "1",
        "chainId": world.chain_id,
        "verifyingContract": token.address,
    }
    fields = ("owner address", "spender address", "value uint256", "nonce uint256")
    types = [dict(zip(("name", "type"), f.split(), strict=True)) for f in fields]
    types.append({"name": "deadline", "type": "uint256"})
    message = {
        "owner": owner,
        "spender": world.market.address,
        "value": max_fee,
        "nonce": token.nonces(owner),
        "deadline": deadline,
    }
    signed = Account.sign_message(encode_typed_data(domain, {"Permit": types}, message), KEY)
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


def signing_client(world):
    account = Account.from_key(KEY).address
    world.give(account, 1_000 * ONE_NES)
    return account


def test_a_permit_pays(world):
    account = signing_client(world)
    deadline = boa.env.timestamp + 60
    order = world.order(max_fee=5 * ONE_NES)
    signature = permit(world, 5 * ONE_NES, deadline)
    world.market.request_with_permit(order, INPUT, deadline, *signature, sender=account)
    assert world.market.last_query_id() == 1
    assert world.lower.token.allowance(account, world.market) == ONE_NES


def test_a_permit_that_somebody_used_already_does_no_harm(world, outsider):
    account = signing_client(world)
    deadline = boa.env.timestamp + 60
    order = world.order(max_fee=5 * ONE_NES)
    signature = permit(world, 5 * ONE_NES, deadline)
    world.lower.token.permit(
        account, world.market, 5 * ONE_NES, deadline, *signature, sender=outsider
    )
    world.market.request_with_permit(order, INPUT, deadline, *signature, sender=account)
    assert world.market.last_query_id() == 1


def test_a_wrong_permit_pays_nothing(world):
    account = signing_client(world)
    deadline = boa.env.timestamp + 60
    order = world.order(max_fee=5 * ONE_NES)
    signature = permit(world, 4 * ONE_NES, deadline)
    with boa.reverts("erc20: insufficient allowance"):
        world.market.request_with_permit(order, INPUT, deadline, *signature, sender=account)
