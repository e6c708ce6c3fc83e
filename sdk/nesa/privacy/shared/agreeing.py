"""What a group says of one product: replies become claims, and a quorum of equal ones counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nesa.models.graph import Held
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.statements import ProductContext, SumsStatement
from nesa.privacy.shared.wire import decode_reply, unpack_sums
from nesa.protocol.commitments import quorum
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidMessage, WrongShare
from nesa.protocol.ids import Address

Accepts = Callable[[Held], bool]
"""Whether sums are those of a share; see `Check.accepts`."""


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """What one member sent: sums in the shape of the product's output, and its statement."""

    member: Address
    statement: SumsStatement
    sums: Held


def read_claim(data: bytes, member: Address, context: ProductContext, product: Product) -> Claim:
    """The claim in a member's reply. Whether the sums are those that it signed costs a pass over
    them and is left to `is_own`.

    Raises:
        InvalidMessage: malformed, too long, sums out of range, or not signed by the member.
    """
    reply = decode_reply(data)
    sums = unpack_sums(product.output_edge, reply.sums)
    statement = SumsStatement(context, reply.in_digest, reply.out_digest, reply.r, reply.vs)
    if statement.signer != member:
        raise InvalidMessage("the statement is signed by somebody else")
    return Claim(member, statement, sums)


def settled(claims: Sequence[Claim], replicas: int) -> tuple[Claim, ...]:
    """Claims that say the same, once they are a quorum of `replicas` members; else none."""
    sides: dict[tuple[bytes, bytes], list[Claim]] = defaultdict(list)
    for claim in claims:
        sides[claim.statement.in_digest, claim.statement.out_digest].append(claim)
    largest = max(sides.values(), key=len, default=[])
    return tuple(largest) if len(largest) >= quorum(replicas) else ()


def is_own(claim: Claim, product: Product) -> bool:
    """Whether the sums that a member sent are those that it signed."""
    edge = product.output_edge
    return claim.statement.out_digest == boundary_digest((edge,), (edge.encode(claim.sums),))


def checked(
    group: str,
    product: Product,
    agreed: Sequence[Claim],
    accepts: Accepts,
    refused: dict[Address, str],
) -> Held:
    """The sums of a quorum's claims, of which `accepts` says whether they are those of the share.

    Members whose sums are not what they signed are named in `refused`.

    Raises:
        WrongShare: the quorum signed wrong sums, or nobody of it sent what it signed.
    """
    for claim in agreed:
        if accepts(claim.sums):
            return claim.sums
        if is_own(claim, product):
            statements = [one.statement for one in agreed]
            message = f"a quorum of group {group!r} signed sums that are not those of its share"
            raise WrongShare(group, f"{message}; keep the statements and leave it", statements)
        refused[claim.member] = "sent other sums than it signed"
    message = f"nobody of group {group!r} sent the sums that it signed; choose another group"
    raise WrongShare(group, message, [claim.statement for claim in agreed])
