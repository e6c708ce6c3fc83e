"""What a settled shard shows to everybody else: enough to report it, check it and go on from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eth_utils.crypto import keccak

from nesa.protocol import cbor
from nesa.protocol.commitments import (
    Attestation,
    ShardContext,
    attestation_hash,
    commitment,
    quorum,
    set_digest,
)
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, ZERO_DIGEST, Address, Digest
from nesa.protocol.messages import MAX_CARRIED_BYTES, MAX_TENSOR_BYTES, Handoff
from nesa.protocol.queries import PAID_BITS, ShardReport, SignedResult
from nesa.protocol.shapes import WORD, blob, optional, record
from nesa.protocol.signatures import recover_signer
from nesa.protocol.wire import COMMITMENTS, PAYLOAD, RESULTS, ROUND, TENSORS

EVIDENCE_PATH: Final = "/v1/evidence/{query_id}/{attempt}/{shard}"
MAX_PROOF_BYTES: Final = 64 << 10
MAX_EVIDENCE_BYTES: Final = 2 * MAX_TENSOR_BYTES + (2 << 20)
WORDS_A_RESULT: Final = 3
MAX_PIECES: Final = 32
"""Most pieces of evidence in one body."""


@dataclass(frozen=True, slots=True)
class ShardEvidence:
    """A quorum's equal results for one shard, and the tensors and proof behind them.

    `commitments` are in draw order, `results` in ascending positions. `payload` is what goes on
    chain in the last shard and empty in the others. Tensors may be left out (empty).
    """

    round: int
    in_digest: Digest
    out_digest: Digest
    commitments: tuple[Digest, ...]
    results: tuple[SignedResult, ...]
    payload: bytes = b""
    tensors_in: tuple[bytes, ...] = ()
    tensors_out: tuple[bytes, ...] = ()
    proof: bytes | None = None

    @property
    def payload_hash(self) -> Digest:
        """What the attestations state of the payload."""
        return Digest(keccak(self.payload)) if self.payload else ZERO_DIGEST

    def report(self) -> ShardReport:
        """The part that goes to the chain."""
        return ShardReport(self.round, self.out_digest, self.commitments, self.results)

    def handoff(self, context: ShardContext) -> Handoff:
        """The message for the next shard's members; `context` is this shard's.

        Tensors that are too long to be carried are left out.
        """
        is_carried = sum(map(len, self.tensors_out)) <= MAX_CARRIED_BYTES
        return Handoff(
            context,
            self.round,
            self.in_digest,
            self.out_digest,
            self.commitments,
            self.results,
            self.tensors_out if is_carried else (),
        )


_EVIDENCE: Final = record(
    ShardEvidence,
    round=ROUND,
    in_digest=WORD,
    out_digest=WORD,
    commitments=COMMITMENTS,
    results=RESULTS,
    payload=PAYLOAD,
    tensors_in=TENSORS,
    tensors_out=TENSORS,
    proof=optional(blob(MAX_PROOF_BYTES)),
)


def encode_evidence(*pieces: ShardEvidence) -> bytes:
    """Canonical bytes of what one member shows of its shard.

    That is one piece; only a prover that was handed several inputs shows one for each of them.

    Raises:
        InvalidMessage: a field is out of its bounds.
    """
    return cbor.encode([PROTOCOL_VERSION, *map(_EVIDENCE.pack, pieces)])


def decode_evidence(data: bytes) -> ShardEvidence:
    """The only piece of evidence in `data`.

    Raises:
        InvalidMessage: several pieces, or see `decode_pieces`.
    """
    pieces = decode_pieces(data)
    if len(pieces) != 1:
        raise InvalidMessage(f"{len(pieces)} pieces of evidence where one is expected")
    return pieces[0]


def decode_pieces(data: bytes) -> tuple[ShardEvidence, ...]:
    """The pieces of evidence, at least one, that `data` is the canonical encoding of.

    Raises:
        InvalidMessage: too long, not canonical, another version, or a field that does not fit.
    """
    item = cbor.decode(data, MAX_EVIDENCE_BYTES)
    if not isinstance(item, list) or item[:1] != [PROTOCOL_VERSION]:
        raise InvalidMessage(f"this is not evidence of protocol version {PROTOCOL_VERSION}")
    if not 1 <= len(item) - 1 <= MAX_PIECES:
        raise InvalidMessage(f"a body has 1 to {MAX_PIECES} pieces of evidence")
    return tuple(map(_EVIDENCE.unpack, item[1:]))


def evidence_of(handoff: Handoff) -> ShardEvidence:
    """The evidence that a hand-over carries; its tensors are the settled shard's output."""
    return ShardEvidence(
        handoff.round,
        handoff.in_digest,
        handoff.out_digest,
        handoff.commitments,
        handoff.results,
        tensors_out=handoff.tensors,
    )


@dataclass(frozen=True, slots=True)
class Reported:
    """What is known of one shard of a report before its words are read.

    `members` are its signers in draw order, `entries` how many commitments its set has.
    """

    context: ShardContext
    members: Sequence[Address]
    entries: int
    in_digest: Digest
    payload: bytes = b""

    def read(self, words: Sequence[bytes]) -> tuple[ShardEvidence, Sequence[bytes]]:
        """The evidence in the first of `words`, and the words behind it; see `report_words`.

        Nothing but the form is checked.

        Raises:
            InvalidMessage: there are too few words, or more paid members than members.
        """
        if len(words) < 2:
            raise InvalidMessage("a report ends in the middle of a shard")
        head, out_digest = int.from_bytes(words[0], "big"), Digest(words[1])
        round_, mask = head >> PAID_BITS, head & (1 << PAID_BITS) - 1
        paid = [position for position in range(PAID_BITS) if mask >> position & 1]
        opened = {min(position, self.entries - 1): position for position in paid}
        unpaid = words[2 : 2 + self.entries - len(opened)]
        start = 2 + self.entries - len(opened)
        end = start + WORDS_A_RESULT * len(paid)
        if len(words) < end or mask >> len(self.members):
            raise InvalidMessage("a report ends in the middle of a shard, or pays nobody drawn")
        results = tuple(
            SignedResult(position, *words[at : at + WORDS_A_RESULT])
            for position, at in zip(paid, range(start, end, WORDS_A_RESULT), strict=True)
        )
        salts = {result.position: result.salt for result in results}
        others = iter(unpaid)
        commitments = tuple(
            self._opened(round_, out_digest, opened[entry], salts[opened[entry]])
            if entry in opened
            else Digest(next(others))
            for entry in range(self.entries)
        )
        shown = (round_, self.in_digest, out_digest, commitments, results, self.payload)
        return ShardEvidence(*shown), words[end:]

    def _opened(self, round_: int, out_digest: Digest, position: int, salt: bytes) -> Digest:
        member = self.members[position]
        return commitment(self.context, round_, member, self.in_digest, out_digest, salt)


def verify_evidence(
    context: ShardContext, members: Sequence[Address], replicas: int, evidence: ShardEvidence
) -> None:
    """Check that a quorum of `members` (signers in draw order) attested this evidence's digests.

    Tensors and proof are not looked at: compare them with the digests where their types are known.

    Raises:
        InvalidMessage: no quorum, or a result that does not open its commitment or is not signed.
    """
    if len(members) != replicas or len(evidence.commitments) != replicas:
        raise InvalidMessage(f"the committee or the set does not have {replicas} entries")
    positions = [result.position for result in evidence.results]
    if positions != sorted(set(positions)) or positions[-1:] >= [replicas]:
        raise InvalidMessage("the results are not in ascending positions of the committee")
    if len(positions) < quorum(replicas):
        raise InvalidMessage(f"{len(positions)} results are fewer than a quorum")
    for result in evidence.results:
        _verify_result(context, members[result.position], evidence, result)


def _verify_result(
    context: ShardContext, member: Address, evidence: ShardEvidence, result: SignedResult
) -> None:
    digests = (evidence.in_digest, evidence.out_digest)
    opened = commitment(context, evidence.round, member, *digests, result.salt)
    if opened != evidence.commitments[result.position]:
        raise InvalidMessage(f"the result of member {result.position} opens another commitment")
    signed = attestation_hash(context.chain_id, context.market, _attested(context, evidence))
    if recover_signer(signed, result.r, result.vs) != member:
        raise InvalidMessage(f"the result is not signed by the member at {result.position}")


def _attested(context: ShardContext, evidence: ShardEvidence) -> Attestation:
    return Attestation(
        context.query_id,
        context.attempt,
        context.shard,
        evidence.round,
        evidence.in_digest,
        evidence.out_digest,
        evidence.payload_hash,
        set_digest(context, evidence.round, evidence.commitments),
    )
