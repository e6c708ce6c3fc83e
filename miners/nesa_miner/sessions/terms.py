"""Whether a member serves a request, and what it does about its vouchers; nothing is read here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from nesa.privacy.shared.statements import Session
from nesa.protocol.errors import InvalidMessage, NotEntitled
from nesa.protocol.ids import Address, Amount, BlockNumber, Timestamp, VersionId
from nesa.protocol.messages import SessionRequest
from nesa.protocol.outcomes import suing_ends
from nesa.protocol.queries import Query
from nesa.protocol.sessions import Voucher, voucher_hash
from nesa.protocol.signatures import recover_signer

CREDIT: Final = 1
"""Products that a member works on before it is paid for them."""

PIN_AFTER: Final = 128
"""Blocks behind the seed block after which a member has its hash kept; after 256 nobody could."""

PIN_UNTIL: Final = 192
"""Blocks behind the seed block up to which a member trusts in having its hash kept in time."""

_NOTHING: Final = Amount(0)
_NO_WORD: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Attendance:
    """What a member knows of a session that it was drawn for: its terms, the versions of the
    products, who pays, this member's operator and place in the draw, and how many stand by."""

    session: Session
    terms: Query
    products: tuple[VersionId, ...]
    payer: Address
    operator: Address
    position: int
    spares: int = 0

    @property
    def most_statements(self) -> int:
        """Every product once, and once more for each that stands in for somebody of the group."""
        return len(self.products) + self.spares

    @property
    def most(self) -> Amount:
        """What all products are worth to one member, NES units of the deposit."""
        return Amount(self.terms.base_fee * len(self.products))

    @property
    def redeems_until(self) -> Timestamp:
        """Until when vouchers count."""
        return Timestamp(self.terms.answer_deadline + self.terms.rules.claim_window)

    @property
    def disputed_until(self) -> Timestamp:
        """Until when vouchers count, and members can be sued for what they signed."""
        return max(self.redeems_until, suing_ends(self.terms))


@dataclass(frozen=True, slots=True)
class HeldVoucher:
    """The newest voucher of a session that a member holds; nothing before the first."""

    amount: Amount = _NOTHING
    r: bytes = _NO_WORD
    vs: bytes = _NO_WORD


def require_open(attended: Attendance, sender: Address, now: Timestamp) -> None:
    """Returns when a sender may ask in a session at chain time `now`.

    Raises:
        NotEntitled: it is not who pays for the session.
        InvalidMessage: the session is over.
    """
    require_payer(attended.payer, sender)
    if now > attended.terms.answer_deadline:
        raise InvalidMessage("the session is over; open another")


def require_payer(payer: Address, sender: Address) -> None:
    """Returns when a sender is who pays for the session.

    Raises:
        NotEntitled: it is not.
    """
    if sender != payer:
        raise NotEntitled("only the payer of the session asks its members")


def require_products(developers: Sequence[Address], shards: Sequence[int]) -> None:
    """Returns when versions, of these developers and with so many shards, are products that members
    with a seat in the first one work on.

    Anybody may list what is registered. Who took a seat chose tables of one developer, and loads no
    others because a stranger asks.

    Raises:
        NotEntitled: they are not.
    """
    if len(set(developers)) != 1:
        raise NotEntitled("the products of the session are not all of one developer")
    if set(shards) != {1}:
        raise NotEntitled("a product of the session is no version of one shard")


def require_redeemable(attended: Attendance, pinned: bool, head: BlockNumber) -> None:
    """Returns when a first voucher will count: without the seed block's hash the contract draws
    nobody, and a client that waits until it is gone would pay with nothing.

    Raises:
        NotEntitled: it is too late to have the hash kept.
    """
    if not pinned and head > attended.terms.seed_block + PIN_UNTIL:
        raise NotEntitled(
            "nobody had the seed of the session kept (pin_seed), so no voucher counts; open another"
        )


def require_paid(attended: Attendance, served: int, paid: Amount) -> None:
    """Returns when a member that has signed `served` statements goes on.

    A product is asked for again when somebody else of the group failed. No voucher is worth more
    than all products once, so what is above that is worked for nothing, as often as somebody can
    stand in.

    Raises:
        NotEntitled: too many of them are not paid for, or more are asked for than can be needed.
    """
    if served >= attended.most_statements:
        raise NotEntitled(f"a session of {len(attended.products)} products needs no more of these")
    wanted = min(attended.terms.base_fee * (served + 1 - CREDIT), attended.most)
    if paid < wanted:
        raise NotEntitled(
            f"{served} products are worth a voucher of {wanted} units, this member holds {paid}"
        )


def newer_voucher(
    attended: Attendance, held: HeldVoucher, request: SessionRequest
) -> HeldVoucher | None:
    """The voucher in a request when it is worth more than the one that is held.

    Raises:
        InvalidMessage: it is worth less than one product or more than all, or not signed by the
            payer.
    """
    if request.amount <= held.amount:
        return None
    if request.amount < attended.terms.base_fee:
        raise InvalidMessage(
            "a voucher pays one whole product at least: less may not be worth the gas"
        )
    if request.amount > attended.most:
        raise InvalidMessage(f"all products are worth {attended.most} units, not {request.amount}")
    newer = HeldVoucher(request.amount, request.r, request.vs)
    require_voucher_of_payer(attended, newer)
    return newer


def require_voucher_of_payer(attended: Attendance, held: HeldVoucher) -> None:
    """Returns when a voucher is signed by who pays for the session now. It counts under every seed;
    after a reorganisation, though, the session's number may be another client's.

    Raises:
        InvalidMessage: it is not.
    """
    session = attended.session
    voucher = Voucher(session.session_id, attended.operator, held.amount)
    signed = voucher_hash(session.chain_id, session.contract, voucher)
    if recover_signer(signed, held.r, held.vs) != attended.payer:
        raise InvalidMessage("the voucher is not the payer's; sign it with the session's key")


@dataclass(frozen=True, slots=True)
class Pin:
    """Have the hash of the seed block kept while it can be."""


@dataclass(frozen=True, slots=True)
class Redeem:
    """Bring the newest voucher to the chain."""


@dataclass(frozen=True, slots=True)
class Forget:
    """No voucher counts any more."""


Step: TypeAlias = Pin | Redeem | Forget


def next_step(
    attended: Attendance,
    amount: Amount,
    redeemed: Amount,
    pinned: bool,
    head: BlockNumber,
    now: Timestamp,
) -> Step | None:
    """What to do about a voucher of `amount`, `redeemed` of which was paid, at block `head`."""
    if now > attended.redeems_until:
        return Forget()
    if amount <= redeemed:
        return None
    if amount == attended.most or now > attended.terms.answer_deadline:
        return Redeem()
    if not pinned and head >= attended.terms.seed_block + PIN_AFTER:
        return Pin()
    return None
