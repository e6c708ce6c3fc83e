"""Where a member stands in one agreement. States are values: every rule returns the next one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from nesa.protocol.ids import ZERO_DIGEST, Digest
from nesa.protocol.messages import Certificate, Commit, Lock, MemberMessage, Propose, Reveal
from nesa_miner.agreement.actions import Action, Dropped, Send
from nesa_miner.agreement.events import OwnResult
from nesa_miner.agreement.terms import Committee

T = TypeVar("T")

BEFORE = -1
"""The round of a member that has not joined any."""


@dataclass(frozen=True, slots=True)
class Output:
    """Output tensors and payload that belong to one output digest."""

    tensors: tuple[bytes, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class State:
    """One member's view of one (query, attempt, shard).

    Tuples with one entry a member are in draw order, None for what is not there: `commits`,
    `locks` and `proposal` belong to the current round; `ahead` holds a member's newest commit for
    a later one, `early` a reveal whose certificate has not come, `insisted` the round in which this
    member refused a set for leaving that one out, `answered` when it was last sent an answer.
    `reveals` have been checked and hold no tensors. `expected` are the members that were heard in
    the round before: nobody waits for the others. This member committed at `joined_at`; the clock
    of a round runs from `gathered_at`, when a quorum was in it. `slowness` is how many times longer
    than planned members were seen to take, `inquiries` how often in a row this one has asked.
    `opposed` are those whose statements against this member's own result were handed out.
    """

    committee: Committee
    commits: tuple[Commit | None, ...]
    ahead: tuple[Commit | None, ...]
    locks: tuple[Lock | None, ...]
    early: tuple[Reveal | None, ...]
    insisted: tuple[int | None, ...]
    answered: tuple[float | None, ...]
    expected: frozenset[int]
    now: float = 0.0
    result: OwnResult | None = None
    entropy: bytes = b""
    round: int = BEFORE
    joined_at: float = 0.0
    gathered_at: float | None = None
    slowness: float = 1.0
    inquire_at: float = 0.0
    inquiries: int = 0
    proposal: Propose | None = None
    certificates: tuple[Certificate, ...] = ()
    certified_at: float = 0.0
    reveals: tuple[Reveal, ...] = ()
    outputs: tuple[tuple[Digest, Output], ...] = ()
    settled: Reveal | None = None
    opposed: frozenset[int] = frozenset()
    finished: bool = False


Step = tuple[State, tuple[Action, ...]]
Rule = Callable[[State], Step]


def empty(committee: Committee) -> State:
    """The state before anything has happened."""
    nobody = (None,) * committee.size
    everybody = frozenset(range(committee.size))
    return State(committee, nobody, nobody, nobody, nobody, nobody, nobody, everybody)


def still(state: State) -> Step:
    """Nothing to do."""
    return state, ()


def follow(state: State, *rules: Rule) -> Step:
    """Apply `rules` one after the other and collect what they do."""
    actions: tuple[Action, ...] = ()
    for rule in rules:
        state, more = rule(state)
        actions += more
    return state, actions


def drop(state: State, position: int, reason: str) -> Step:
    """Do not use what the member at `position` sent."""
    return state, (Dropped(position, reason),)


def tell(state: State, *messages: MemberMessage) -> tuple[Action, ...]:
    """Send `messages` to every other member."""
    others = state.committee.others
    return tuple(Send(others, message) for message in messages) if others else ()


def put(entries: tuple[T, ...], position: int, entry: T) -> tuple[T, ...]:
    """`entries` with another one at `position`."""
    return (*entries[:position], entry, *entries[position + 1 :])


def certificate_of(state: State, round_: int) -> Certificate | None:
    """The certificate of a round, if this member has it."""
    return next((held for held in state.certificates if held.round == round_), None)


def reveal_of(state: State, round_: int, position: int) -> Reveal | None:
    """What a member revealed in a round, if it was checked."""
    matching = (held for held in state.reveals if (held.round, held.position) == (round_, position))
    return next(matching, None)


def same_result(one: Reveal, other: Reveal) -> bool:
    """Whether two reveals attest the same result."""
    return _result_key(one) == _result_key(other)


def _result_key(reveal: Reveal) -> tuple[int, Digest, Digest, Digest]:
    return reveal.round, reveal.in_digest, reveal.out_digest, reveal.payload_hash


def agrees_with(result: OwnResult, reveal: Reveal) -> bool:
    """Whether a reveal attests what this member computed."""
    attested = (reveal.in_digest, reveal.out_digest, reveal.payload_hash)
    return attested == (result.in_digest, result.out_digest, result.payload_hash)


def excluded(state: State) -> frozenset[int]:
    """Members that a later set must do without.

    They stood in a certified set and have not opened it to this member's result. Once the others
    have opened theirs, a fresh commitment of such a member could be a copy. A spare is not held to
    the set that the member before it did not open: without it there may be no quorum.
    """
    if state.result is None:
        return frozenset()
    return frozenset(
        position
        for certificate in state.certificates
        for position, entry in enumerate(certificate.commitments)
        if entry != ZERO_DIGEST
        and position != state.committee.me
        and position not in state.committee.spares
        and not _opened(state, state.result, certificate.round, position)
    )


def _opened(state: State, result: OwnResult, round_: int, position: int) -> bool:
    reveal = reveal_of(state, round_, position)
    return reveal is not None and agrees_with(result, reveal)


def enter(state: State, round_: int) -> State:
    """The state at the beginning of a later round, before this member commits to anything."""
    nobody = (None,) * state.committee.size
    commits = tuple(held if held and held.round == round_ else None for held in state.ahead)
    ahead = tuple(held if held and held.round > round_ else None for held in state.ahead)
    return replace(
        state,
        round=round_,
        gathered_at=None,
        inquiries=0,
        commits=commits,
        ahead=ahead,
        expected=_expected(state),
        locks=nobody,
        proposal=None,
    )


def _expected(state: State) -> frozenset[int]:
    everybody = frozenset(range(state.committee.size))
    held = [commit for commit in (*state.commits, *state.ahead) if commit is not None]
    heard = frozenset(commit.position for commit in held)
    enough = state.round != BEFORE and len(heard) >= state.committee.quorum
    return heard if enough else everybody
