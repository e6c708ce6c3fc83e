"""What this member itself says and signs. The same state always says the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.commitments import attestation_hash, commitment, set_digest
from nesa.protocol.ids import PROTOCOL_VERSION, Digest
from nesa.protocol.locks import commit_digest, lock_digest
from nesa.protocol.messages import MAX_CARRIED_BYTES, Certificate, Commit, Lock, Propose, Reveal
from nesa_miner.agreement.events import OwnResult
from nesa_miner.agreement.state import State
from nesa_miner.agreement.terms import Committee

SALT_DOMAIN: Final = keccak(text="nesa.salt.v1")


def salt(committee: Committee, entropy: bytes, round_: int) -> bytes:
    """The salt of one round: a fresh secret for whoever does not know `entropy`."""
    context = committee.context
    types = ["bytes32", "uint256", "uint256", "address", "uint256", "uint256", "bytes32"]
    types += ["uint256", "uint256", "bytes32"]
    head: list[Any] = [SALT_DOMAIN, PROTOCOL_VERSION, context.chain_id, context.market]
    head += [context.query_id, context.attempt, context.seed, context.shard, round_]
    return keccak(encode(types, [*head, entropy]))


def own_commitment(committee: Committee, result: OwnResult, entropy: bytes, round_: int) -> Digest:
    """This member's commitment to its result in a round."""
    hidden = salt(committee, entropy, round_)
    member = committee.members[committee.me]
    digests = (result.in_digest, result.out_digest)
    return commitment(committee.context, round_, member, *digests, hidden)


def own_commit(state: State, result: OwnResult, round_: int) -> Commit:
    """This member's signed commitment in a round."""
    committee = state.committee
    entry = own_commitment(committee, result, state.entropy, round_)
    r, vs = committee.sign(commit_digest(committee.context, round_, entry))
    return Commit(committee.context, round_, committee.me, entry, r, vs)


def own_lock(state: State, proposal: Propose) -> Lock:
    """This member's signature on a set; journal it before it leaves."""
    committee = state.committee
    commitments = proposal.commitments(committee.size)
    digest = set_digest(committee.context, proposal.round, commitments)
    r, vs = committee.sign(lock_digest(committee.context, proposal.round, digest))
    return Lock(committee.context, proposal.round, committee.me, digest, r, vs)


def own_reveal(state: State, certificate: Certificate) -> Reveal | None:
    """This member's opened commitment, unless the certified set has another one or none of it."""
    result, committee = state.result, state.committee
    if result is None:
        return None
    entry = own_commitment(committee, result, state.entropy, certificate.round)
    if certificate.commitments[committee.me] != entry:
        return None
    shown = sum(map(len, result.tensors)) <= MAX_CARRIED_BYTES
    context, round_ = committee.context, certificate.round
    unsigned = Reveal(
        context,
        round_,
        committee.me,
        salt(committee, state.entropy, round_),
        result.in_digest,
        result.out_digest,
        result.payload_hash,
        set_digest(context, round_, certificate.commitments),
        b"",
        b"",
        result.tensors if shown else (),
        result.payload,
    )
    signed = attestation_hash(context.chain_id, context.market, unsigned.attestation)
    r, vs = committee.sign(signed)
    return replace(unsigned, r=r, vs=vs)


def stripped(reveal: Reveal) -> Reveal:
    """`reveal` without tensors and payload, for whoever has them."""
    return replace(reveal, tensors=(), payload=b"")
