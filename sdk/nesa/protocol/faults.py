"""Who was wrong, from nothing but what members signed: facts that anybody can check anywhere.

Two statements convict. A member that signed two outputs of one input convicts itself. A member
that signed another output than a quorum of its committee did of the same input is outvoted.

A member that is merely silent, or that worked on another input, is not convicted by anything here:
the first may be dead, the second may have been handed a wrong tensor. Nor does a reveal that opens
no commitment convict, for its salt is not signed and whoever passes it on could have changed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final, TypeAlias, assert_never

from nesa.protocol import cbor
from nesa.protocol.commitments import (
    ShardContext,
    attestation_hash,
    commitment,
    quorum,
    set_digest,
)
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import ShardEvidence, evidence_of
from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest
from nesa.protocol.locks import signer_of
from nesa.protocol.messages import Handoff, Reveal
from nesa.protocol.queries import MAX_REPLICAS
from nesa.protocol.shapes import Shape, many, record
from nesa.protocol.wire import COMMITMENTS, REVEAL

MAX_FAULT_BYTES: Final = 1 << 14
"""Nine statements without tensors take less than half of it."""

Sets: TypeAlias = Mapping[Digest, tuple[Digest, ...]]
"""Commitments in draw order, by the digest of their set."""


@dataclass(frozen=True, slots=True)
class Equivocation:
    """One member's signatures on two outputs of the same input.

    Each comes with the set of commitments that it opens one of: signatures of two histories of the
    chain contradict nothing, and only a commitment names the history.
    """

    first: Reveal
    second: Reveal
    first_set: tuple[Digest, ...]
    second_set: tuple[Digest, ...]

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
    3: (
        Equivocation,
        record(
            Equivocation,
            first=REVEAL,
            second=REVEAL,
            first_set=COMMITMENTS,
            second_set=COMMITMENTS,
        ),
    ),
    2: (Outvoted, record(Outvoted, dissent=REVEAL, agreed=many(REVEAL, MAX_REPLICAS, 1))),
}
"""Kind 1 was an equivocation without its sets, which no court takes."""

_NUMBERS: Final = {cls: kind for kind, (cls, _) in _KINDS.items()}


def faults_in(members: int, reveals: Sequence[Reveal], sets: Sets) -> tuple[Fault, ...]:
    """Everybody whom `reveals` convict, equivocations first, each member once for each kind.

    `reveals` are checked ones of one shard of one attempt under one seed, whose committee has
    `members` members; `sets` has those that they open.
    """
    ordered = _ordered(reveals)
    outvoted: dict[int, Outvoted] = {}
    quorums = _quorums(members, ordered)
    for agreed in quorums:
        if any(_contradict(agreed[0], other[0]) for other in quorums):
            continue  # of two quorums neither outvotes: whoever is in both has convicted itself
        for one in ordered:
            if _contradict(one, agreed[0]) and one.position not in {o.position for o in agreed}:
                outvoted.setdefault(one.position, Outvoted(one, agreed))
    return (*equivocations_in(ordered, sets), *outvoted.values())


def equivocations_in(reveals: Sequence[Reveal], sets: Sets) -> tuple[Equivocation, ...]:
    """Every member that signed two outputs of one input, once; arguments as for `faults_in`."""
    found: dict[int, Equivocation] = {}
    for first, second in combinations(_ordered(reveals), 2):
        if first.position == second.position and _contradict(first, second):
            shown = (sets[first.set_digest], sets[second.set_digest])
            found.setdefault(first.position, Equivocation(first, second, *shown))
    return tuple(found.values())


def verify_fault(members: Sequence[Address], fault: Fault) -> None:
    """Returns when `fault` convicts; `members` are the signers of its committee in draw order.

    Raises:
        InvalidMessage: a signature is not its member's, a statement opens no commitment of its
            set, or the statements do not contradict.
    """
    match fault:
        case Equivocation(first, second, first_set, second_set):
            statements: tuple[Reveal, ...] = (first, second)
            sets = {first.set_digest: first_set, second.set_digest: second_set}
        case Outvoted(dissent, agreed):
            statements, sets = (dissent, *agreed), {}
        case _:
            assert_never(fault)
    if len({statement.context for statement in statements}) != 1:
        raise InvalidMessage("the statements are about different work")
    for statement in statements:
        verify_statement(members, statement, sets.get(statement.set_digest))
    if fault not in faults_in(len(members), statements, sets):
        raise InvalidMessage("the statements convict nobody, or somebody else")


def verify_statement(
    members: Sequence[Address], statement: Reveal, commitments: Sequence[Digest] | None
) -> None:
    """Returns when a member signed `statement`, and it opens its entry of `commitments` if given.

    Raises:
        InvalidMessage: it is signed by somebody else, is for another set, or opens another entry.
    """
    _verify_signature(members, statement)
    if commitments is None:
        return
    context, position = statement.context, statement.position
    if statement.set_digest != set_digest(context, statement.round, commitments):
        raise InvalidMessage("a statement is for another set")
    digests = (statement.in_digest, statement.out_digest)
    opened = commitment(context, statement.round, members[position], *digests, statement.salt)
    if opened != commitments[entry_of(position, commitments)]:
        raise InvalidMessage(f"a statement of member {position} opens no commitment of its set")


def entry_of(position: int, commitments: Sequence[Digest]) -> int:
    """Where a member's commitment is: behind a single prover stand spares, beyond its set of one.

    Raises:
        InvalidMessage: the set is empty.
    """
    if not commitments:
        raise InvalidMessage("a set of commitments is empty")
    return min(position, len(commitments) - 1)


def statements_of(handoff: Handoff) -> tuple[Reveal, ...]:
    """What each member signed whose result a hand-over carries."""
    return statements_in(handoff.context, evidence_of(handoff))


def statements_in(context: ShardContext, evidence: ShardEvidence) -> tuple[Reveal, ...]:
    """What each member signed whose result is in the evidence of a shard; nothing is checked."""
    digest = set_digest(context, evidence.round, evidence.commitments)
    return tuple(
        Reveal(
            context,
            evidence.round,
            result.position,
            result.salt,
            evidence.in_digest,
            evidence.out_digest,
            evidence.payload_hash,
            digest,
            result.r,
            result.vs,
        )
        for result in evidence.results
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


def _ordered(reveals: Sequence[Reveal]) -> list[Reveal]:
    return sorted(map(_bare, reveals), key=lambda one: (one.position, one.round))


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
