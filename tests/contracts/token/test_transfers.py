import boa
import pytest
from eth_account import Account

from tests.deployment import GENESIS_SUPPLY


def test_transfer_and_allowance(token, holder, outsider):
    token.transfer(outsider, 10, sender=holder)
    token.approve(outsider, 5, sender=holder)
    token.transferFrom(holder, outsider, 5, sender=outsider)
    assert token.balanceOf(outsider) == 15
    with boa.reverts("erc20: insufficient allowance"):
        token.transferFrom(holder, outsider, 1, sender=outsider)


def test_burning_lowers_the_supply(token, holder, outsider):
    token.burn(10, sender=holder)
    token.approve(outsider, 5, sender=holder)
    token.burn_from(holder, 5, sender=outsider)
    assert token.totalSupply() == token.balanceOf(holder) == GENESIS_SUPPLY - 15


@pytest.mark.parametrize("late", [0, 1])
def test_a_permit_holds_until_its_deadline(token, outsider, late):
    account = Account.from_key(b"\x07" * 32)
    deadline = boa.env.timestamp + 60
    domain = {
        "name": "Nesa",
        "version": "1",
        "chainId": boa.env.evm.patch.chain_id,
        "verifyingContract": token.address,
    }
    names = ("owner", "spender", "value", "nonce", "deadline")
    kinds = ("address", "address", "uint256", "uint256", "uint256")
    types = {"Permit": [{"name": n, "type": t} for n, t in zip(names, kinds, strict=True)]}
    message = dict(zip(names, (account.address, outsider, 9, 0, deadline), strict=True))
    signed = account.sign_typed_data(domain, types, message)
    arguments = (
        account.address,
        outsider,
        9,
        deadline,
        signed.v,
        signed.r.to_bytes(32, "big"),
        signed.s.to_bytes(32, "big"),
    )

    boa.env.time_travel(seconds=60 + late)
    if late:
        with boa.reverts("erc20: expired deadline"):
            token.permit(*arguments)
    else:
        token.permit(*arguments)
        assert token.allowance(account.address, outsider) == 9
        with boa.reverts("erc20: invalid signature"):
            token.permit(*arguments)
