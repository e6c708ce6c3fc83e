"""What the members of a committee, the committees of two shards, and a client say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from nesa.protocol.commitments import Attestation, ShardContext
from nesa.protocol.ids import ZERO_DIGEST, Address, Amount, Digest, QueryId, VersionId
from nesa.protocol.queries import SignedResult

MAX_TENSOR_BYTES: Final = 4 << 20
MAX_PAYLOAD_BYTES: Final = 1 << 20
MAX_CARRIED_BYTES: Final = 256 << 10
"""Most bytes of tensors that one message carries; longer boundaries are fetched in parts."""

MAX_MESSAGE_BYTES: Final = MAX_PAYLOAD_BYTES + MAX_CARRIED_BYTES + (64 << 10)
"""Longest encoded message: a payload, the tensors that it may carry, and everything else."""

MAX_SHARE_BYTES: Final = MAX_MESSAGE_BYTES - (1 << 10)
"""Most bytes that are said about one product of a session."""

MAX_TRAINING_BYTES: Final = MAX_MESSAGE_BYTES - (1 << 10)
"""Most bytes that a client and its training peer say to each other at once."""

MAX_WRAPPED_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class Commit:
    """A member's hidden result for one round, signed so that a proposer can show whose it is."""

    context: ShardContext
    round: int
    position: int
    commitment: Digest
    r: bytes
    vs: bytes


@dataclass(frozen=True, slots=True)
class Propose:
    """The commits that the proposer of the round collected, in ascending positions."""

    context: ShardContext
    round: int
    commits: tuple[Commit, ...]

    def commitments(self, size: int) -> tuple[Digest, ...]:
        """The set: one entry for each of `size` members, zero for absent ones."""
        entries = {commit.position: commit.commitment for commit in self.commits}
        return tuple(entries.get(position, ZERO_DIGEST) for position in range(size))


@dataclass(frozen=True, slots=True)
class Lock:
    """A member's only signature on a set in this round; anybody may pass it on."""

    context: ShardContext
    round: int
    position: int
    set_digest: Digest
    r: bytes
    vs: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """A set and a quorum of locks of it (ascending positions): the set of this round for good."""

    context: ShardContext
    round: int
    commitments: tuple[Digest, ...]
    locks: tuple[Lock, ...]


@dataclass(frozen=True, slots=True)
class Reveal:
    """A member's opened commitment and signed attestation; anybody may pass it on.

    `tensors` and `payload` are left out (empty) when the receiver can be expected to have them.
    """

    context: ShardContext
    round: int
    position: int
    salt: bytes
    in_digest: Digest
    out_digest: Digest
    payload_hash: Digest
    set_digest: Digest
    r: bytes
    vs: bytes
    tensors: tuple[bytes, ...] = ()
    payload: bytes = b""

    @property
    def attestation(self) -> Attestation:
        """What the signature is over."""
        return Attestation(
            self.context.query_id,
            self.context.attempt,
            self.context.shard,
            self.round,
            self.in_digest,
            self.out_digest,
            self.payload_hash,
            self.set_digest,
        )

    @property
    def result(self) -> SignedResult:
        """The form in which it goes to the chain."""
        return SignedResult(self.position, self.salt, self.r, self.vs)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A member that lacks something asks the others for what they have; `round` is its own."""

    context: ShardContext
    round: int


@dataclass(frozen=True, slots=True)
class Handoff:
    """What a settled shard gives to the members of the next; `context` is the settled shard's.

    `tensors` longer than `MAX_CARRIED_BYTES` are left out: the receiver fetches them in parts.
    """

    context: ShardContext
    round: int
    in_digest: Digest
    out_digest: Digest
    commitments: tuple[Digest, ...]
    results: tuple[SignedResult, ...]
    tensors: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PartRequest:
    """A member of the next shard asks for the part at `offset` of what a shard put out.

    `context` is the settled shard's. The tensors count as one row of bytes in the order of their
    edges; parts are `MAX_CARRIED_BYTES` long, the last one may be shorter.
    """

    context: ShardContext
    out_digest: Digest
    offset: int


@dataclass(frozen=True, slots=True)
class TensorPart:
    """The answer to a `PartRequest`."""

    context: ShardContext
    out_digest: Digest
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The key of a sealed query, wrapped by its requester to one member of one attempt."""

    chain_id: int
    market: Address
    query_id: QueryId
    attempt: int
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class ShardKeyRequest:
    """An operator asks the developer of a private version for the key of its shard's files."""

    version_id: VersionId
    shard: int


@dataclass(frozen=True, slots=True)
class ShardKey:
    """The answer to a `ShardKeyRequest`."""

    version_id: VersionId
    shard: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """The payer of a session asks one of its members for a product, and pays for those before.

    `amount`, `r` and `vs` are the newest voucher (`nesa.protocol.sessions.Voucher`), zero before
    there is one. `reply_key` is the X25519 key that the answer is sealed to. `body` says what is
    asked (`nesa.privacy.shared.wire.ShareRequest`); empty where the request only pays.
    """

    session_id: QueryId
    amount: Amount
    r: bytes
    vs: bytes
    reply_key: bytes
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionReply:
    """The answer to a `SessionRequest`: what the member was paid so far, in NES units of the
    deposit, and the sums (`nesa.privacy.shared.wire.ShareReply`)."""

    session_id: QueryId
    paid: Amount
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A client asks the peer of its split training. `reply_key` is the X25519 key that the answer
    is sealed to; `body` says what is asked (`nesa.privacy.split.training.wire.Request`)."""

    reply_key: bytes
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TrainingReply:
    """The answer to a `TrainingRequest` (`nesa.privacy.split.training.wire.Reply`)."""

    body: bytes = field(repr=False)


MemberMessage: TypeAlias = Commit | Propose | Lock | Certificate | Reveal | Inquiry
"""What the members of one shard's committee say among themselves."""

ReleaseMessage: TypeAlias = ShardKeyRequest | ShardKey
"""What operators and the developer of a private version say to each other."""

SessionMessage: TypeAlias = SessionRequest | SessionReply
"""What the payer and a member of a session say to each other."""

TrainingMessage: TypeAlias = TrainingRequest | TrainingReply
"""What a client and the peer of its split training say to each other."""

QueryMessage: TypeAlias = MemberMessage | Handoff | PartRequest | TensorPart | ContentKey
"""What is said about one attempt of one query."""

Message: TypeAlias = QueryMessage | ReleaseMessage | SessionMessage | TrainingMessage
