"""Asking the others for what was lost, and answering those who are behind."""

from __future__ import annotations

from dataclasses import replace

from nesa.protocol.messages import Inquiry, MemberMessage
from nesa_miner.agreement.actions import Send
from nesa_miner.agreement.deadlines import next_inquiry
from nesa_miner.agreement.settling import counted
from nesa_miner.agreement.state import State, Step, certificate_of, put, reveal_of, still, tell


def inquire(state: State) -> Step:
    """Ask everybody when the result is overdue."""
    if state.result is None or state.settled is not None or state.now < state.inquire_at:
        return still(state)
    asked = tell(state, Inquiry(state.committee.context, max(state.round, 0)))
    state = replace(state, inquire_at=next_inquiry(state), inquiries=state.inquiries + 1)
    return state, asked


def answer(state: State, position: int) -> Step:
    """Send everything that helps a member that is behind, at most twice in the time of inquiry."""
    last, pause = state.answered[position], state.committee.timing.inquire / 2
    if last is not None and state.now < last + pause:
        return still(state)
    told = tuple(Send((position,), message) for message in known(state))
    return replace(state, answered=put(state.answered, position, state.now)), told


def known(state: State) -> tuple[MemberMessage, ...]:
    """What this member can show, in the order in which it is of use; no tensors."""
    if state.settled is not None:
        settled = certificate_of(state, state.settled.round)
        return (settled, *counted(state)) if settled is not None else ()
    committee = state.committee
    shown: list[MemberMessage | None] = []
    for certificate in state.certificates:
        shown += [certificate, reveal_of(state, certificate.round, committee.me)]
    shown.append(state.commits[committee.me])
    if committee.proposer(state.round) == committee.me:
        shown.append(state.proposal)
    shown.append(state.locks[committee.me])
    return tuple(message for message in shown if message is not None)
