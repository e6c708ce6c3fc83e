"""Who was wrong, from nothing but what members signed: facts that anybody can check anywhere.

Two statements convict. A member that signed two outputs of one input convicts itself. A member
that signed another output than a quorum of its committee did of the same input is outvoted.

A member that is merely silent, or that worked on another input, is not convicted by anything here:
the first may be dead, the second may have been handed a wrong tensor. Nor does a reveal that opens
no commitment convict, for its salt is not signed and whoever passes it on could have changed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final, TypeAlias, assert_never

from nesa.protocol import cbor
from nesa.protocol.commitments import ShardContext, attestation_hash, quorum, set_digest
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, ZERO_DIGEST, Address
from nesa.protocol.locks import signer_of
from nesa.protocol.messages import Handoff, Reveal
from nesa.protocol.queries import MAX_REPLICAS
from nesa.protocol.shapes import Shape, many, record
from nesa.protocol.wire import REVEAL

MAX_FAULT_BYTES: Final = 1 << 14
"""Nine statements without tensors take less than half of it."""


@dataclass(frozen=True, slots=True)
class Equivocation:
    """One member's signatures on two outputs of the same input."""

    first: Reveal
    second: Reveal

    @property
    def position(self) -> int:
        """The member that is wrong, as drawn."""
        return self.first.position


@dataclass(frozen=True, slots=True)
class Outvoted:
    """A member's signature on one output and a quorum's signatures on another one of that input."""

    dissent: Reveal
    agreed: tuple[Reveal, ...]

    @property
    def position(self) -> int:
        """The member that is wrong, as drawn."""
        return self.dissent.position


Fault: TypeAlias = Equivocation | Outvoted

_KINDS: Final[dict[int, tuple[type, Shape[Any]]]] = {
    1: (Equivocation, record(Equivocation, first=REVEAL, second=REVEAL)),
    2: (Outvoted, record(Outvoted, dissent=REVEAL, agreed=many(REVEAL, MAX_REPLICAS, 1))),
}
_NUMBERS: Final = {cls: kind for kind, (cls, _) in _KINDS.items()}


def faults_in(members: int, reveals: Sequence[Reveal]) -> tuple[Fault, ...]:
    """Everybody whom `reveals` convict, equivocations first, each member once for each kind.

    `reveals` are checked ones of one shard of one attempt under one seed, whose committee has
    `members` members.
    """
    ordered = sorted(map(_bare, reveals), key=lambda one: (one.position, one.round))
    found: dict[tuple[type, int], Fault] = {}
    for first, second in combinations(ordered, 2):
        if first.position == second.position and _contradict(first, second):
            found.setdefault((Equivocation, first.position), Equivocation(first, second))
    quorums = _quorums(members, ordered)
    for agreed in quorums:
        if any(_contradict(agreed[0], other[0]) for other in quorums):
            continue  # of two quorums neither outvotes: whoever is in both has convicted itself
        for one in ordered:
            if _contradict(one, agreed[0]) and one.position not in {o.position for o in agreed}:
                found.setdefault((Outvoted, one.position), Outvoted(one, agreed))
    return tuple(found.values())


def verify_fault(members: Sequence[Address], fault: Fault) -> None:
    """Returns when `fault` convicts; `members` are the signers of its committee in draw order.

    Raises:
        InvalidMessage: a signature is not its member's, or the statements do not contradict.
    """
    match fault:
        case Equivocation(first, second):
            statements: tuple[Reveal, ...] = (first, second)
        case Outvoted(dissent, agreed):
            statements = (dissent, *agreed)
        case _:
            assert_never(fault)
    if len({statement.context for statement in statements}) != 1:
        raise InvalidMessage("the statements are about different work")
    for statement in statements:
        _verify_signature(members, statement)
    if fault not in faults_in(len(members), statements):
        raise InvalidMessage("the statements convict nobody, or somebody else")


def statements_of(handoff: Handoff) -> tuple[Reveal, ...]:
    """What each member signed whose result a hand-over carries."""
    digest = set_digest(handoff.context, handoff.round, handoff.commitments)
    return tuple(
        Reveal(
            handoff.context,
            handoff.round,
            result.position,
            result.salt,
            handoff.in_digest,
            handoff.out_digest,
            ZERO_DIGEST,
            digest,
            result.r,
            result.vs,
        )
        for result in handoff.results
    )


def encode_fault(fault: Fault) -> bytes:
    """Canonical bytes of a fault."""
    kind = _NUMBERS[type(fault)]
    return cbor.encode([PROTOCOL_VERSION, kind, _KINDS[kind][1].pack(fault)])


def decode_fault(data: bytes) -> Fault:
    """The fault that `data` is the canonical encoding of; whether it convicts is not looked at.

    Raises:
        InvalidMessage: too long, not canonical, another version, or a field that does not fit.
    """
    item = cbor.decode(data, MAX_FAULT_BYTES)
    if not isinstance(item, list) or len(item) != 3 or item[0] != PROTOCOL_VERSION:
        raise InvalidMessage(f"this is no fault of protocol version {PROTOCOL_VERSION}")
    _, kind, fields = item
    if not isinstance(kind, int) or kind not in _KINDS:
        raise InvalidMessage(f"there is no fault of kind {kind!r}")
    fault: Fault = _KINDS[kind][1].unpack(fields)
    return fault


def context_of(fault: Fault) -> ShardContext:
    """What the wrong member worked on."""
    return fault.first.context if isinstance(fault, Equivocation) else fault.dissent.context


def _quorums(members: int, reveals: Sequence[Reveal]) -> list[tuple[Reveal, ...]]:
    """Every quorum of equal results, one member once."""
    results: dict[tuple[object, ...], dict[int, Reveal]] = {}
    for one in reveals:
        key = (one.round, one.in_digest, one.out_digest, one.payload_hash, one.set_digest)
        results.setdefault(key, {}).setdefault(one.position, one)
    return [tuple(equal.values()) for equal in results.values() if len(equal) >= quorum(members)]


def _contradict(one: Reveal, other: Reveal) -> bool:
    """Whether both cannot be right: one input has one output."""
    return one.in_digest == other.in_digest and one.out_digest != other.out_digest


def _verify_signature(members: Sequence[Address], statement: Reveal) -> None:
    context = statement.context
    if statement.position >= len(members):
        raise InvalidMessage(f"there is no member at position {statement.position}")
    signed = attestation_hash(context.chain_id, context.market, statement.attestation)
    if signer_of(signed, statement.r, statement.vs) != members[statement.position]:
        raise InvalidMessage(f"a statement is not signed by member {statement.position}")


def _bare(reveal: Reveal) -> Reveal:
    return replace(reveal, tensors=(), payload=b"")
