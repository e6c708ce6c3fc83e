"""Permits of a client that signs."""

from eth_account import Account
from eth_account.messages import encode_typed_data

from nesa.protocol.ids import ONE_NES

KEY = b"\x11" * 32


def permit(world, max_fee, deadline, spender=None):
    """Signature of the client's permit for the market, or for another contract: v, r, s."""
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
        "spender": (spender or world.market).address,
        "value": max_fee,
        "nonce": token.nonces(owner),
        "deadline": deadline,
    }
    signed = Account.sign_message(encode_typed_data(domain, {"Permit": types}, message), KEY)
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


def signing_client(world):
    """The client, with NES."""
    account = Account.from_key(KEY).address
    world.give(account, 1_000 * ONE_NES)
    return account
