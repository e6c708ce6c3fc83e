"""Builds signed reports with the keys of test operators."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.commitments import (
    Attestation,
    ShardContext,
    attestation_hash,
    commitment,
    set_digest,
)
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId
from nesa.protocol.messages import Reveal
from nesa.protocol.queries import Query, ShardReport, SignedResult
from nesa.protocol.signatures import sign_digest
from nesa.protocol.statements import Statement


@dataclass(frozen=True, slots=True)
class Work:
    """What one shard's committee did: `members` are the signers' keys in draw order."""

    context: ShardContext
    members: tuple[PrivateKey, ...]
    in_digest: Digest
    out_digest: Digest
    payload_hash: Digest = ZERO_DIGEST
    round: int = 0

    def salt(self, position: int) -> bytes:
        """A salt that a test can compute again."""
        return keccak(text=f"salt {self.context.shard} {self.round} {position}")

    def commitments(self, absent: Collection[int] = ()) -> tuple[Digest, ...]:
        """The set, zero at the positions in `absent`."""
        return tuple(
            ZERO_DIGEST if position in absent else self._commitment(position)
            for position in range(len(self.members))
        )

    def _commitment(self, position: int) -> Digest:
        member = signer_address(self.members[position])
        salt = self.salt(position)
        return commitment(self.context, self.round, member, self.in_digest, self.out_digest, salt)

    def attestation(self, commitments: Sequence[bytes]) -> Attestation:
        """What every member signs."""
        return Attestation(
            query_id=self.context.query_id,
            attempt=self.context.attempt,
            shard=self.context.shard,
            round=self.round,
            in_digest=self.in_digest,
            out_digest=self.out_digest,
            payload_hash=self.payload_hash,
            set_digest=set_digest(self.context, self.round, commitments),
        )

    def result(
        self, position: int, commitments: Sequence[bytes], slot: int | None = None
    ) -> SignedResult:
        """The member's attestation; `slot` is its position when the set is not the committee."""
        context = self.context
        digest = attestation_hash(context.chain_id, context.market, self.attestation(commitments))
        r, vs = sign_digest(self.members[position], digest)
        place = position if slot is None else slot
        return SignedResult(place, self.salt(position), r, vs)

    def report(
        self, signers: Collection[int] | None = None, absent: Collection[int] = ()
    ) -> ShardReport:
        """A report with the attestations of `signers` (everybody who is not absent)."""
        commitments = self.commitments(absent)
        everybody = [p for p in range(len(self.members)) if p not in absent]
        chosen = everybody if signers is None else signers
        results = tuple(self.result(position, commitments) for position in chosen)
        return ShardReport(self.round, self.out_digest, commitments, results)


def shard_works(
    chain_id: int,
    market: str,
    query: Query,
    seed: bytes,
    committees: Sequence[Sequence[PrivateKey]],
    digests: Sequence[bytes],
    payload: bytes,
) -> list[Work]:
    """The work of all shards of `query`; `digests` are those of the boundaries after each."""
    works = []
    for shard, members in enumerate(committees):
        is_last = shard == query.shards - 1
        works.append(
            Work(
                context=ShardContext(
                    chain_id,
                    Address(market),
                    QueryId(query.query_id),
                    query.attempt,
                    Digest(seed),
                    shard,
                ),
                members=tuple(members),
                in_digest=Digest(digests[shard - 1] if shard else query.input_digest),
                out_digest=Digest(digests[shard]),
                payload_hash=Digest(keccak(payload)) if is_last else ZERO_DIGEST,
            )
        )
    return works


def statement_of(work: Work, position: int, commitments: Sequence[Digest]) -> Statement:
    """What the member at `position` opened and signed in the set of these commitments."""
    said = work.result(position, commitments)
    digest = set_digest(work.context, work.round, commitments)
    digests = (work.in_digest, work.out_digest, work.payload_hash, digest)
    reveal = Reveal(work.context, work.round, position, said.salt, *digests, said.r, said.vs)
    return Statement(signer_address(work.members[position]), reveal, tuple(commitments))


def changed(work: Work, **context: Any) -> Work:
    """The same work in another context (another query, chain, market, attempt, seed, shard)."""
    return replace(work, context=replace(work.context, **context))


def signer_address(key: PrivateKey) -> Address:
    """Address of a key."""
    return Address(key.public_key.to_checksum_address())


def keys_of(names: Collection[str]) -> Mapping[str, PrivateKey]:
    """One key a name, the same in every run."""
    return {name: PrivateKey(keccak(text=f"key of {name}")) for name in names}
