"""What can happen to a member of a committee."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nesa.protocol.ids import ZERO_DIGEST, Digest
from nesa.protocol.messages import MemberMessage


@dataclass(frozen=True, slots=True)
class OwnResult:
    """What this member computed. `payload` goes on chain in the last shard, empty elsewhere."""

    in_digest: Digest
    out_digest: Digest
    tensors: tuple[bytes, ...]
    payload_hash: Digest = ZERO_DIGEST
    payload: bytes = b""
    tensors_in: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The member has its own result. `entropy` is 32 fresh random bytes that become its salts."""

    result: OwnResult
    entropy: bytes


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message whose envelope the member at `position` signed."""

    position: int
    message: MemberMessage


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; needed at `next_wake` at the latest."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The process is back after `restore`."""


Event: TypeAlias = Started | MessageReceived | Tick | Restarted
