"""What a group says of one product: replies become claims, and a quorum of equal ones counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nesa.models.graph import Held
from nesa.privacy.shared.checking import Check
from nesa.privacy.shared.digits import Bytes
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.statements import is_signed, statement_of
from nesa.privacy.shared.wire import decode_reply, unpack_sums
from nesa.protocol.commitments import ShardContext, quorum
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidMessage, WrongShare
from nesa.protocol.ids import Address, Digest
from nesa.protocol.statements import Statement


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """What one member sent: sums in the shape of the product's output, and its statement."""

    member: Address
    statement: Statement
    sums: Held

    @property
    def out_digest(self) -> Digest:
        """Digest of the sums that it signed."""
        return self.statement.reveal.out_digest


@dataclass(frozen=True, eq=False)
class Question:
    """What one group is asked: one share, its digits in the shape in which the product reads them.

    The check is the client's secret.
    """

    product: Product
    context: ShardContext
    round: int
    digits: Bytes
    check: Check

    def read(self, data: bytes, member: Address) -> Claim:
        """The claim in a member's reply. Whether the sums are those that it signed costs a pass
        over them and is left to `is_own`.

        Raises:
            InvalidMessage: malformed, too long, sums out of range, or not signed by the member.
        """
        reply = decode_reply(data)
        sums = unpack_sums(self.product.output_edge, reply.sums)
        digests = (reply.in_digest, reply.out_digest)
        signature = (reply.salt, reply.r, reply.vs)
        statement = statement_of(member, self.context, self.round, *digests, *signature)
        if not is_signed(statement):
            raise InvalidMessage("the statement is signed by somebody else")
        if reply.in_digest != self.in_digest:
            raise InvalidMessage("the statement is about another share")
        return Claim(member, statement, sums)

    @cached_property
    def in_digest(self) -> Digest:
        """Digest of the share that every statement must name: one about another convicts nobody."""
        return boundary_digest((self.product.input_edge,), (self.digits.tobytes(),))

    def accepts(self, claim: Claim) -> bool:
        """Whether the sums are those of the share, but for a chance of 2**-40."""
        return self.check.accepts(self.digits, claim.sums)

    def is_own(self, claim: Claim) -> bool:
        """Whether the sums that a member sent are those that it signed."""
        edge = self.product.output_edge
        sent = boundary_digest((edge,), (edge.encode(claim.sums),))
        return claim.out_digest == sent


def settled(claims: Sequence[Claim], replicas: int) -> tuple[Claim, ...]:
    """Claims that say the same, once they are a quorum of `replicas` members; else none."""
    sides: dict[Digest, list[Claim]] = defaultdict(list)
    for claim in claims:
        sides[claim.out_digest].append(claim)
    largest = max(sides.values(), key=len, default=[])
    return tuple(largest) if len(largest) >= quorum(replicas) else ()


def checked(
    group: str, question: Question, agreed: Sequence[Claim], refused: dict[Address, str]
) -> Held:
    """The sums of a quorum's claims, once they are found to be those of the share.

    Members whose sums are not what they signed are named in `refused`.

    Raises:
        WrongShare: the quorum signed wrong sums, or nobody of it sent what it signed.
    """
    for claim in agreed:
        if question.accepts(claim):
            return claim.sums
        if question.is_own(claim):
            message = f"a quorum of group {group!r} signed sums that are not those of its share"
            raise _wrong(group, f"{message}; keep the statements and leave it", question, agreed)
        refused[claim.member] = "sent other sums than it signed"
    message = f"nobody of group {group!r} sent the sums that it signed; choose another group"
    raise _wrong(group, message, question, agreed)


def lies_among(group: str, question: Question, claims: Sequence[Claim]) -> WrongShare | None:
    """What convicts members of a group that signed wrong sums without a quorum; None if nobody."""
    lies = [one for one in claims if not question.accepts(one) and question.is_own(one)]
    if not lies:
        return None
    message = f"members of group {group!r} signed wrong sums, without a quorum; keep the statements"
    failure = _wrong(group, message, question, lies)
    failure.members = tuple(one.member for one in lies)
    return failure


def _wrong(group: str, message: str, question: Question, agreed: Sequence[Claim]) -> WrongShare:
    statements = [claim.statement for claim in agreed]
    return WrongShare(group, message, statements, question.digits.tobytes())
