"""Slots that a report left out: found when the answer comes, claimed until the claim window ends.

The report of an oracle may leave out a member that was late, or that the oracle does not like. The
member's attestation in the settled set is worth its slot all the same, once it shows it itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from eth_abi.abi import decode, encode

from nesa.privacy.envelopes import Deployment
from nesa.protocol.commitments import ShardContext
from nesa.protocol.ids import ZERO_DIGEST, Digest, Timestamp
from nesa.protocol.messages import Certificate, Reveal
from nesa.protocol.outcomes import (
    OUTCOME_ABI,
    after_claims,
    closing_time,
    outcome_as_abi,
    outcome_from_abi,
)
from nesa.protocol.queries import (
    Assurance,
    Outcome,
    Query,
    SignedResult,
    decode_query,
    encode_query,
    terms_hash,
)
from nesa_miner.agreement.machine import restore
from nesa_miner.agreement.records import Record
from nesa_miner.agreement.signing import own_commitment
from nesa_miner.agreement.state import State, certificate_of, reveal_of
from nesa_miner.agreement.terms import Committee
from nesa_miner.identity import Identity
from nesa_miner.jobs import Job, WorkKey

NO_DISPUTE: Final = Timestamp(0)

_STORED = ["bytes", OUTCOME_ABI, "uint256", "bytes32[]", "(uint256,bytes32,bytes32,bytes32)"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One unpaid slot of an answered query, with what shows that its member worked.

    A dispute stops the query's clock; `released` is when it closes since the last one ended.
    """

    query: Query
    outcome: Outcome
    shard: int
    commitments: tuple[Digest, ...]
    result: SignedResult
    released: Timestamp = NO_DISPUTE

    @property
    def until(self) -> Timestamp:
        """Last moment of chain time in which it can be claimed."""
        return max(self.released, closing_time(self.query, self.outcome.fulfilled_at))

    @property
    def is_paid(self) -> bool:
        """Whether the slot is paid by now."""
        return _pays(self.outcome, self.shard, self.result.position)

    def after(self, paid: Mapping[int, int], released: int = NO_DISPUTE) -> Claim:
        """The claim once others were paid, or a dispute ended: each claim changes the outcome that
        the next names."""
        outcome = after_claims(self.outcome, paid)
        return replace(self, outcome=outcome, released=Timestamp(released))


def encode_claim(claim: Claim) -> bytes:
    """Bytes for the journal."""
    tail = (claim.shard, claim.commitments, claim.result.as_abi())
    return encode(_STORED, [encode_query(claim.query), outcome_as_abi(claim.outcome), *tail])


def decode_claim(data: bytes) -> Claim:
    """The claim that `encode_claim` took."""
    query, outcome, shard, commitments, result = decode(_STORED, data)
    commitments = tuple(map(Digest, commitments))
    head = (decode_query(query), outcome_from_abi(outcome), shard, commitments)
    return Claim(*head, SignedResult(*result))


def is_left_out(job: Job, outcome: Outcome, deployment: Deployment) -> bool:
    """Whether `outcome` answers this job's attempt and does not pay this miner for its shard."""
    query = decode_query(job.query)
    if job.shard is None or job.position is None or query.assurance is Assurance.PROVED:
        return False
    terms = terms_hash(deployment.chain_id, deployment.market, query)
    if (terms, job.seed) != (outcome.terms_hash, outcome.seed):
        return False
    return not _pays(outcome, job.shard, job.position)


def settled_work(job: Job, outcome: Outcome) -> WorkKey:
    """Under what the journal has the agreement that `outcome` settled; only for a drawn job."""
    assert job.seed is not None
    assert job.shard is not None
    return WorkKey(job.key, job.seed, _in_digest(decode_query(job.query), outcome, job.shard))


def claim_of(
    job: Job,
    records: Sequence[Record],
    outcome: Outcome,
    identity: Identity,
    deployment: Deployment,
) -> Claim | None:
    """What `outcome` owes for a job that it left out, from the journal of its agreement.

    A spare is paid by its place in the draw; its slot is the one that holds its own commitment.
    """
    query, position = decode_query(job.query), job.position
    assert position is not None
    for slot in _slots_of(position, query.replicas):
        state = restore(_remembered(job, query, slot, identity, deployment), records)
        shard = state.committee.context.shard
        certificate = certificate_of(state, outcome.shards[shard].round)
        if certificate is None or not _is_own(state, certificate):
            continue
        own = _paid_for(state, query, outcome, shard)
        if own is not None:
            result = replace(own.result, position=position)
            return Claim(query, outcome, shard, certificate.commitments, result)
    return None


def _slots_of(position: int, replicas: int) -> tuple[int, ...]:
    """Slots that whoever was drawn at `position` may have filled: a member its own, a spare any."""
    return (position,) if position < replicas else tuple(range(replicas))


def _is_own(state: State, certificate: Certificate) -> bool:
    """Whether a certified set has the commitment of this miner in its slot."""
    if state.result is None:
        return False
    head = (state.committee, state.result, state.entropy, certificate.round)
    return certificate.commitments[state.committee.me] == own_commitment(*head)


def _pays(outcome: Outcome, shard: int, position: int) -> bool:
    return bool(outcome.shards[shard].paid >> position & 1)


def _paid_for(state: State, query: Query, outcome: Outcome, shard: int) -> Reveal | None:
    """This member's own result, if the outcome names this very result in this very set."""
    settled = outcome.shards[shard]
    own = reveal_of(state, settled.round, state.committee.me)
    if own is None:
        return None
    in_digest = _in_digest(query, outcome, shard)
    payload_hash = outcome.output_hash if shard + 1 == query.shards else ZERO_DIGEST
    found = (own.in_digest, own.out_digest, own.payload_hash, own.set_digest)
    return (
        own if found == (in_digest, settled.out_digest, payload_hash, settled.set_digest) else None
    )


def _in_digest(query: Query, outcome: Outcome, shard: int) -> Digest:
    return outcome.shards[shard - 1].out_digest if shard else query.input_digest


def _remembered(
    job: Job, query: Query, slot: int, identity: Identity, deployment: Deployment
) -> Committee:
    """The committee as far as this miner's own part needs it: the others are not looked at."""
    assert job.seed is not None
    assert job.shard is not None
    head = (deployment.chain_id, deployment.market, query.query_id, query.attempt)
    context = ShardContext(*head, Digest(job.seed), job.shard)
    members = (identity.address,) * query.replicas
    return Committee(context, members, slot, identity.sign, lambda _: ZERO_DIGEST)
