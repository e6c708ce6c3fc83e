"""Messages of members that came before they were of use: kept for a while, within bounds.

Nothing here outlives the process. Whoever takes part in an agreement asks for what it has missed.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final

from nesa.privacy.envelopes import Opened
from nesa.protocol.errors import ExhaustedResource
from nesa.protocol.messages import Message, Reveal
from nesa_miner.jobs import JobKey

MOST_EARLY_BYTES: Final = 4096
"""Bytes of tensors and payload in a message that is kept before its sender can be judged."""

MOST_MEMBER_BYTES: Final = 1 << 20
"""Bytes of tensors and payload that are kept of one member: more than two honest reveals."""


@dataclass(slots=True)
class _Attempt:
    """What waits for one attempt: by sender, oldest first."""

    since: float
    senders: dict[str, list[Opened]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(map(len, self.senders.values()))


@dataclass(slots=True)
class WaitingRoom:
    """A few messages for each sender of each attempt.

    Anybody can send, so everything is bounded. Nothing that was taken makes room for something
    else, for its sender believes it delivered: whoever finds no room is told to come again. Only
    attempts that nobody here has heard of after `patience` seconds are forgotten.
    """

    most_attempts: int = 256
    most_unknown: int = 2048
    most_senders: int = 32
    most_messages: int = 8
    patience: float = 60.0
    _kept: dict[JobKey, _Attempt] = field(default_factory=dict)

    def keep_early(self, key: JobKey, opened: Opened, now: float, known: Container[JobKey]) -> None:
        """Keep what nobody can judge yet; `known` are the attempts that this miner has heard of.

        Raises:
            ExhaustedResource: no room, or the message is long; it may be sent again.
        """
        if _weight(opened.message) > MOST_EARLY_BYTES:
            raise ExhaustedResource("too long to be kept before the draw is known here")
        if key not in known:
            self._require_room(key, now, known)
        attempt = self._kept.setdefault(key, _Attempt(now))
        messages = attempt.senders.get(opened.sender, [])
        is_new = opened.sender not in attempt.senders
        if len(messages) >= self.most_messages or (
            is_new and len(attempt.senders) >= self.most_senders
        ):
            raise ExhaustedResource("too many messages are waiting for this attempt")
        attempt.senders[opened.sender] = [*messages, opened]

    def keep_from_member(self, key: JobKey, opened: Opened, now: float) -> None:
        """Keep what a drawn member sent before it is of use; its newest messages count."""
        senders = self._kept.setdefault(key, _Attempt(now)).senders
        messages = [*senders.get(opened.sender, []), opened][-self.most_messages :]
        while sum(_weight(kept.message) for kept in messages) > MOST_MEMBER_BYTES:
            messages = messages[1:]
        senders[opened.sender] = messages

    def take(self, key: JobKey) -> list[Opened]:
        """Everything that was kept for an attempt, which is forgotten here."""
        attempt = self._kept.pop(key, None)
        if attempt is None:
            return []
        return [opened for messages in attempt.senders.values() for opened in messages]

    def forget(self, key: JobKey) -> None:
        """Drop what was kept for an attempt."""
        self._kept.pop(key, None)

    def _require_room(self, key: JobKey, now: float, known: Container[JobKey]) -> None:
        self._kept = {
            held: kept
            for held, kept in self._kept.items()
            if held in known or kept.since + self.patience >= now
        }
        unknown = {held: kept for held, kept in self._kept.items() if held not in known}
        if key not in unknown and len(unknown) >= self.most_attempts:
            raise ExhaustedResource("messages of too many unknown attempts are waiting")
        if sum(kept.count for kept in unknown.values()) >= self.most_unknown:
            raise ExhaustedResource("too many messages of unknown attempts are waiting")


def _weight(message: Message) -> int:
    """Bytes that make a message long."""
    if isinstance(message, Reveal):
        return sum(map(len, message.tensors)) + len(message.payload)
    return 0
