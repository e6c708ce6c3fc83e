"""Where a member stands in one agreement. States are values: `step` returns the next one."""

from __future__ import annotations

from dataclasses import dataclass

from nesa.protocol.ids import Digest
from nesa.protocol.messages import Certificate, Commit, Lock, Propose, Reveal

from nesa_miner.agreement.events import OwnResult
from nesa_miner.agreement.terms import Committee


@dataclass(frozen=True, slots=True)
class Output:
    """Output tensors and payload that belong to one output digest."""

    tensors: tuple[bytes, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class State:
    """One member's view of one (query, attempt, shard).

    Tuples with one entry a member are in draw order, None for what is not there.
    """

    committee: Committee
    result: OwnResult | None = None
    entropy: bytes = b""
    round: int = 0
    started_at: float = 0.0
    inquire_at: float = 0.0
    commits: tuple[Digest | None, ...] = ()
    ahead: tuple[Commit | None, ...] = ()
    proposal: Propose | None = None
    locks: tuple[Lock | None, ...] = ()
    insisted: frozenset[int] = frozenset()
    certificates: tuple[Certificate, ...] = ()
    certified_at: float = 0.0
    reveals: tuple[Reveal, ...] = ()
    early: tuple[Reveal | None, ...] = ()
    outputs: tuple[tuple[Digest, Output], ...] = ()
    answered: tuple[float, ...] = ()
    settled: Digest | None = None
    finished: bool = False
