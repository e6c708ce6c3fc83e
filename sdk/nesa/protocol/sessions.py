"""Sessions of queries on shares: who is in which group, and the vouchers that pay members.

A session has the terms of a query, so that its members are drawn as a query's and what they sign is
an ordinary attestation, of product `number` under the terms of `product_terms`;
`contracts/market/SharedSessions.vy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import Address, Amount, Digest, QueryId, VersionId
from nesa.protocol.queries import MAX_REPLICAS, Query
from nesa.protocol.signatures import sign_digest, signing_domain, typed_hash

FIRST_SESSION: Final = 2**62
"""Numbers of queries are below, those of sessions are not."""

MAX_PRODUCTS: Final = 64


def is_session(query_id: QueryId) -> bool:
    """Whether a number is that of a session, not of a query of the market."""
    return query_id >= FIRST_SESSION


def products_id(version_ids: Sequence[VersionId]) -> Digest:
    """What a session names the products of a model by."""
    return Digest(keccak(b"".join(version_ids)))


@dataclass(frozen=True, slots=True)
class SessionOrder:
    """What a client asks for, in the order of the contract's struct `Order`.

    Of the operators drawn, the first `replicas` are one group and the next `replicas` the other;
    the first `seats` may be paid. `payer` signs the vouchers. `max_deposit` in NES units.
    """

    products_id: Digest
    replicas: int
    seats: int
    payer: Address
    max_deposit: Amount

    def __post_init__(self) -> None:
        """Refuses what the contract would.

        Raises:
            InvalidConfiguration: no replicas, or other seats than two groups and their spares.
        """
        if not 1 <= self.replicas <= MAX_REPLICAS // 2:
            raise InvalidConfiguration(f"a group has 1 to {MAX_REPLICAS // 2} members")
        if not 2 * self.replicas <= self.seats <= MAX_REPLICAS:
            raise InvalidConfiguration(
                f"two groups of {self.replicas} take {2 * self.replicas} to {MAX_REPLICAS} seats"
            )

    def as_abi(self) -> tuple[Any, ...]:
        """Fields in the order of the contract's struct."""
        return astuple(self)


@dataclass(frozen=True, slots=True)
class Groups:
    """Places of the draw: two groups, then spares in the order in which they step in."""

    first: tuple[int, ...]
    second: tuple[int, ...]
    spares: tuple[int, ...]


def groups(replicas: int, seats: int) -> Groups:
    """Who is who among the first `seats` of a draw."""
    places = tuple(range(seats))
    return Groups(places[:replicas], places[replicas : 2 * replicas], places[2 * replicas : seats])


def deposit(price: int, products: int, seats: int) -> Amount:
    """What a session takes, NES units: what each seat earns for all products."""
    return Amount(price * products * seats)


def reward(terms: Query, amount: int) -> Amount:
    """What a member has of `amount` of the deposit, NES units: its share and the oracle's, which a
    session has none of."""
    split = split_fee(replace(terms, base_fee=Amount(amount), replicas=1))
    return Amount(split.slot + split.oracle)


def product_terms(session: Query, number: int, version_id: VersionId) -> Query:
    """The terms under which members work on a product, as suits name them.

    `session` are the terms of the whole session, `version_id` is the product's.
    """
    return replace(session, attempt=number, version_id=version_id)


@dataclass(frozen=True, slots=True)
class Voucher:
    """A payer's word that an operator gets `amount` NES units of a deposit, all in all."""

    session_id: QueryId
    operator: Address
    amount: Amount


_VOUCHER_TYPES: Final = {
    "Voucher": [
        {"name": "sessionId", "type": "uint256"},
        {"name": "operator", "type": "address"},
        {"name": "amount", "type": "uint256"},
    ]
}


def voucher_hash(chain_id: int, sessions: Address, voucher: Voucher) -> Digest:
    """The 32 bytes that the payer signs, an EIP-712 message under the domain of the contract."""
    values = {
        "sessionId": voucher.session_id,
        "operator": voucher.operator,
        "amount": voucher.amount,
    }
    domain = signing_domain(chain_id, sessions)
    return typed_hash(encode_typed_data(domain, _VOUCHER_TYPES, values))


def sign_voucher(
    payer: PrivateKey, chain_id: int, sessions: Address, voucher: Voucher
) -> tuple[bytes, bytes]:
    """The signature as the contract takes it: `r` and `vs` after EIP-2098."""
    return sign_digest(payer, voucher_hash(chain_id, sessions, voucher))
