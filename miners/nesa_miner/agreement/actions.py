"""What a member does next. Actions are performed in their order: what is journalled is on disk
before what follows it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.messages import MemberMessage, Reveal
from nesa.protocol.statements import Statement
from nesa_miner.agreement.records import Record


@dataclass(frozen=True, slots=True)
class Journal:
    """Append `record` to the journal of this agreement, durably, before going on."""

    record: Record


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` to the members at `positions`; losing it costs time and nothing else."""

    positions: tuple[int, ...]
    message: MemberMessage


@dataclass(frozen=True, slots=True)
class Settled:
    """A quorum attested the same result. Emitted once, and once more after a restart."""

    evidence: ShardEvidence


@dataclass(frozen=True, slots=True)
class Extended:
    """A member of the settled set opened later; `evidence` replaces the earlier one."""

    evidence: ShardEvidence


@dataclass(frozen=True, slots=True)
class Dissent:
    """A member attested another result than the quorum; `reveal` is its signed statement."""

    position: int
    reveal: Reveal


@dataclass(frozen=True, slots=True)
class Equivocated:
    """A member signed two results of one input: a fact that the court accepts."""

    position: int
    first: Reveal
    second: Reveal


@dataclass(frozen=True, slots=True)
class Opposed:
    """A member attested another output of the same input than this one, and their set cannot settle
    any more: one of both is wrong, which the court can say."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class Finished:
    """Nobody is waited for any more; `silent` members have not opened the settled set."""

    silent: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """What the member at `position` sent was not used; for the log."""

    position: int
    reason: str


Action: TypeAlias = (
    Journal | Send | Settled | Extended | Dissent | Equivocated | Opposed | Finished | Dropped
)
