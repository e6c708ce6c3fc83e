"""Pays for a query: looks at balances first, and allows the market exactly one fee by signature."""

from __future__ import annotations

from typing import Final

from eth_account import Account
from eth_account.signers.local import LocalAccount

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts, Order
from nesa.chain.deployment import Deployment
from nesa.protocol.errors import ExhaustedResource, InvalidInput
from nesa.protocol.ids import NES_DECIMALS, ONE_NES, Address, Amount, Timestamp

PERMIT_SECONDS: Final = 600
"""How long a signed permit may wait for its block."""

PERMIT_TYPES: Final = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


def sign_permit(
    account: LocalAccount, deployment: Deployment, order: Order, nonce: int, deadline: Timestamp
) -> tuple[int, bytes, bytes]:
    """(v, r, s) of an ERC-2612 permit that lets the market take `order.max_fee` once."""
    domain = {
        "name": "Nesa",
        "version": "1",
        "chainId": deployment.chain_id,
        "verifyingContract": deployment.token,
    }
    message = {
        "owner": account.address,
        "spender": deployment.market,
        "value": order.max_fee,
        "nonce": nonce,
        "deadline": deadline,
    }
    signed = Account.sign_typed_data(account.key, domain, PERMIT_TYPES, message)
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


async def paid_request(
    connection: Connection, payer: LocalAccount, order: Order, data: bytes
) -> ContractCall:
    """A request paid by the standing allowance where it is enough, else by a permit."""
    contracts, address = Contracts(connection), Address(payer.address)
    market, token = contracts.market, contracts.token
    if await token.allowance(address, market.address, at="latest") >= order.max_fee:
        return market.request(order, data)
    head = await connection.head()
    deadline = Timestamp(head.timestamp + PERMIT_SECONDS)
    nonce = await token.permit_nonce(address, at="latest")
    signature = sign_permit(payer, connection.deployment, order, nonce, deadline)
    return market.request_with_permit(order, data, deadline, signature)


def check_fee(price: Amount, max_fee: float | None) -> Amount:
    """What the order allows: the caller's limit, or exactly the price of the moment.

    Raises:
        InvalidInput: the limit is below the price, or no number of units.
    """
    if max_fee is not None and not isinstance(max_fee, int):
        raise InvalidInput(
            f"max_fee is a whole number of units, {ONE_NES} to the NES; for {max_fee} NES give "
            f"round({max_fee} * nesa.ONE_NES)"
        )
    if max_fee is not None and max_fee < price:
        raise InvalidInput(
            f"the query costs {in_nes(price)}, more than the limit of {in_nes(Amount(max_fee))}; "
            "raise the limit or ask fewer replicas"
        )
    return price if max_fee is None else Amount(max_fee)


async def check_balance(contracts: Contracts, payer: Address, price: Amount) -> None:
    """Refuse early, in words, what the token would refuse late.

    Raises:
        ExhaustedResource: the account does not hold the price.
    """
    held = await contracts.token.balance_of(payer, at="latest")
    if held < price:
        raise ExhaustedResource(
            f"the query costs {in_nes(price)} and {payer} holds {in_nes(held)}; "
            f"send it at least {in_nes(Amount(price - held))} and ask again"
        )


def in_nes(amount: Amount) -> str:
    """A sum in NES without trailing zeros, to the last unit."""
    whole, part = divmod(amount, 10**NES_DECIMALS)
    digits = f"{part:0{NES_DECIMALS}d}".rstrip("0")
    return f"{whole}.{digits} NES" if digits else f"{whole} NES"
