"""From a certified set to a settled result: revealing, checking reveals, counting them."""

from __future__ import annotations

from dataclasses import replace

from eth_utils.crypto import keccak

from nesa.protocol.commitments import attestation_hash, commitment, set_digest
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.locks import signer_of
from nesa.protocol.messages import Certificate, Reveal
from nesa.protocol.statements import Statement
from nesa_miner.agreement.actions import (
    Action,
    Dissent,
    Equivocated,
    Extended,
    Finished,
    Journal,
    Opposed,
    Settled,
)
from nesa_miner.agreement.deadlines import reveal_until, waiting
from nesa_miner.agreement.locking import certificate_made
from nesa_miner.agreement.records import Agreed, Certified
from nesa_miner.agreement.signing import own_reveal, stripped
from nesa_miner.agreement.state import (
    Output,
    State,
    Step,
    certificate_of,
    drop,
    enter,
    follow,
    put,
    reveal_of,
    same_result,
    still,
    tell,
)


def certify(state: State) -> Step:
    """Make a certificate as soon as a quorum of locks is there."""
    certificate = certificate_made(state)
    return still(state) if certificate is None else adopt(state, certificate)


def adopt(state: State, certificate: Certificate) -> Step:
    """Keep a valid certificate, pass it on, and reveal: the set of its round is fixed now."""
    if certificate.round > state.round:
        state = enter(state, certificate.round)
    kept = (*state.certificates, certificate)
    state = replace(state, certificates=kept, certified_at=state.now)
    actions: tuple[Action, ...] = (Journal(Certified(certificate)), *tell(state, certificate))
    reveal = own_reveal(state, certificate)
    if reveal is not None:
        state = replace(state, reveals=(*state.reveals, stripped(reveal)))
        actions += tell(state, reveal)
    state, more = _take_early(state, certificate)
    state, settled = settle(state, certificate.round)
    return state, actions + more + settled


def _take_early(state: State, certificate: Certificate) -> Step:
    ready = [held for held in state.early if held and held.round == certificate.round]
    early = tuple(None if held in ready else held for held in state.early)
    rules = [lambda after, held=held: take(after, held.position, held) for held in ready]
    return follow(replace(state, early=early), *rules)


def take(state: State, sender: int, reveal: Reveal) -> Step:
    """Check a reveal against its certificate and count it, or drop it with the reason.

    Also one that comes after the time for it: as long as nobody has reported, it can be paid.
    """
    if reveal_of(state, reveal.round, reveal.position) is not None:
        return still(state)
    certificate = certificate_of(state, reveal.round)
    if certificate is None:
        return still(state) if state.settled else _keep_early(state, sender, reveal)
    try:
        _check(state, certificate, reveal)
    except InvalidMessage as error:
        return drop(state, sender, str(error))
    named = _contradictions(state, reveal)
    state = _with_output(state, reveal)
    state = replace(state, reveals=(*state.reveals, stripped(reveal)))
    if state.settled is None:
        state, actions = settle(state, reveal.round)
    else:
        state, actions = _take_late(state, reveal)
    return state, named + actions


def _keep_early(state: State, sender: int, reveal: Reveal) -> Step:
    if sender != reveal.position:
        return drop(state, sender, "a reveal was passed on without its certificate")
    return replace(state, early=put(state.early, sender, reveal)), ()


def _check(state: State, certificate: Certificate, reveal: Reveal) -> None:
    committee, context = state.committee, state.committee.context
    if reveal.position >= committee.size:
        raise InvalidMessage(f"there is no member at position {reveal.position}")
    member = committee.members[reveal.position]
    if reveal.set_digest != set_digest(context, reveal.round, certificate.commitments):
        raise InvalidMessage("the reveal is for another set than the certified one")
    digests = (reveal.in_digest, reveal.out_digest)
    opened = commitment(context, reveal.round, member, *digests, reveal.salt)
    if opened != certificate.commitments[reveal.position]:
        raise InvalidMessage("the reveal does not open the member's commitment in the set")
    _check_contents(state, reveal)
    signed = attestation_hash(context.chain_id, context.market, reveal.attestation)
    if signer_of(signed, reveal.r, reveal.vs) != member:
        raise InvalidMessage("the attestation is not signed by the member that it is of")


def _check_contents(state: State, reveal: Reveal) -> None:
    if reveal.payload and keccak(reveal.payload) != reveal.payload_hash:
        raise InvalidMessage("the payload does not match its hash")
    mine = state.result is not None and state.result.tensors == reveal.tensors
    known = mine and state.result is not None and state.result.out_digest == reveal.out_digest
    if not reveal.tensors or known:
        return
    try:
        digest = state.committee.digest_of(reveal.tensors)
    except ValueError as error:
        raise InvalidMessage(f"the tensors are not an output of this shard: {error}") from error
    if digest != reveal.out_digest:
        raise InvalidMessage("the tensors do not match the digest")


def _contradictions(state: State, reveal: Reveal) -> tuple[Action, ...]:
    return tuple(
        Equivocated(reveal.position, earlier, stripped(reveal))
        for earlier in state.reveals
        if (earlier.position, earlier.in_digest) == (reveal.position, reveal.in_digest)
        and earlier.out_digest != reveal.out_digest
    )


def _with_output(state: State, reveal: Reveal) -> State:
    known = {digest for digest, _ in state.outputs}
    if not reveal.tensors or reveal.out_digest in known:
        return state
    output = Output(reveal.tensors, reveal.payload)
    return replace(state, outputs=(*state.outputs, (reveal.out_digest, output)))


def settle(state: State, round_: int) -> Step:
    """Settle when a quorum of the round's certified set attests the same result."""
    if state.settled is not None:
        return still(state)
    revealed = [reveal for reveal in state.reveals if reveal.round == round_]
    for first in revealed:
        equal = [reveal for reveal in revealed if same_result(first, reveal)]
        if len(equal) >= state.committee.quorum:
            return _settled(replace(state, settled=equal[0]), revealed)
    return still(state)


def _settled(state: State, revealed: list[Reveal]) -> Step:
    named = tuple(
        Dissent(reveal.position, reveal)
        for reveal in revealed
        if state.settled is not None and not same_result(reveal, state.settled)
    )
    evidence = evidence_of(state)
    if evidence is None:
        return still(state)
    return state, (Journal(agreed(state)), Settled(evidence), *named)


def _take_late(state: State, reveal: Reveal) -> Step:
    settled, evidence = state.settled, evidence_of(state)
    if settled is None or evidence is None or reveal.round != settled.round:
        return still(state)
    if not same_result(reveal, settled):
        return state, (Dissent(reveal.position, stripped(reveal)),)
    return state, (Journal(agreed(state)), Extended(evidence))


def counted(state: State) -> tuple[Reveal, ...]:
    """The reveals of the settled result, in ascending positions."""
    settled = state.settled
    if settled is None:
        return ()
    equal = [reveal for reveal in state.reveals if same_result(reveal, settled)]
    return tuple(sorted(equal, key=lambda reveal: reveal.position))


def agreed(state: State) -> Agreed:
    """The record of a settled shard; what this member computed itself is in its journal already."""
    output, settled, result = _output(state), state.settled, state.result
    if settled is not None and result is not None and result.out_digest == settled.out_digest:
        output = Output((), b"")
    return Agreed(counted(state), output.tensors, output.payload)


def evidence_of(state: State) -> ShardEvidence | None:
    """What a settled member serves to others."""
    settled = state.settled
    certificate = certificate_of(state, settled.round) if settled is not None else None
    if settled is None or certificate is None:
        return None
    output, result = _output(state), state.result
    mine = result is not None and result.in_digest == settled.in_digest
    return ShardEvidence(
        settled.round,
        settled.in_digest,
        settled.out_digest,
        certificate.commitments,
        tuple(reveal.result for reveal in counted(state)),
        output.payload,
        result.tensors_in if result is not None and mine else (),
        output.tensors,
    )


def _output(state: State) -> Output:
    settled, result = state.settled, state.result
    if settled is None:
        return Output((), b"")
    if result is not None and result.out_digest == settled.out_digest:
        return Output(result.tensors, result.payload)
    return dict(state.outputs).get(settled.out_digest, Output((), b""))


def oppose(state: State) -> Step:
    """Hand out what others signed against this member's result, once the time to settle is over."""
    if not state.certificates or state.settled is not None or waiting(state):
        return still(state)
    found = [reveal for reveal in state.reveals if _is_against(state, reveal)]
    if not found:
        return still(state)
    opposed = state.opposed | {reveal.position for reveal in found}
    actions = tuple(Opposed(_statement(state, reveal)) for reveal in found)
    return replace(state, opposed=opposed), actions


def _is_against(state: State, reveal: Reveal) -> bool:
    mine = state.result
    if mine is None or reveal.position in state.opposed:
        return False
    return reveal.in_digest == mine.in_digest and reveal.out_digest != mine.out_digest


def _statement(state: State, reveal: Reveal) -> Statement:
    certificate = certificate_of(state, reveal.round)
    assert certificate is not None  # without it no reveal is counted
    return Statement(
        state.committee.members[reveal.position], stripped(reveal), certificate.commitments
    )


def finish(state: State) -> Step:
    """Stop waiting when the whole set has opened, or its time is over."""
    certificate = certificate_of(state, state.settled.round) if state.settled else None
    if certificate is None or state.finished:
        return still(state)
    entries = enumerate(certificate.commitments)
    opened = {reveal.position for reveal in state.reveals if reveal.round == certificate.round}
    missing = [place for place, entry in entries if entry != ZERO_DIGEST and place not in opened]
    if missing and state.now < reveal_until(state):
        return still(state)
    silent = tuple(place for place in range(state.committee.size) if place not in opened)
    return replace(state, finished=True), (Finished(silent),)
