"""What a miner has to remember of its work, as values: the journal stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType

JobKey = NewType("JobKey", tuple[int, int])
"""(query id, attempt)."""


class WorkKey(NamedTuple):
    """What one agreement of this miner is about: a job under one seed, and the input it ran on."""

    job: JobKey
    seed: bytes
    in_digest: bytes

    @property
    def columns(self) -> tuple[int, int, bytes, bytes]:
        """As the tables have it."""
        return (*self.job, self.seed, self.in_digest)


class Phase(StrEnum):
    """How far a job has come."""

    SEEN = "seen"  # requested; the seed block is not there yet
    DRAWN = "drawn"  # this miner is a member; agreement runs
    SETTLED = "settled"  # a quorum agreed; evidence is served
    ENDED = "ended"  # fulfilled, refunded, expired, undone, or not drawn


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of one query as stored; `shard` and `position` are known from DRAWN on."""

    key: JobKey
    phase: Phase
    log_key: bytes
    query: bytes
    input: bytes
    seed: bytes | None
    shard: int | None
    position: int | None
    may_reopen: bool
    """Whether it ended because others were drawn, which a reorganisation may change."""


@dataclass(frozen=True, slots=True)
class StoredFault:
    """What convicts the member that signs with `signer`; `body` is an encoded fault."""

    shard: int
    signer: str
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """A slot to be claimed; `paid` has what later claims added to the masks of paid members.

    `released` is until when it can be claimed after disputes, 0 without one.
    """

    key: JobKey
    body: bytes
    paid: Mapping[int, int]
    released: int = 0
