"""Messages that came before this miner could use them: kept for a while, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from nesa.privacy.envelopes import Opened
from nesa_miner.journal import JobKey


@dataclass(slots=True)
class WaitingRoom:
    """A few messages for each sender of each attempt; the oldest attempts make room for new ones.

    Anybody can send, so everything is bounded; whoever matters sends again when asked.
    """

    most_attempts: int = 256
    most_senders: int = 32
    most_messages: int = 8
    _kept: OrderedDict[JobKey, dict[str, list[Opened]]] = field(default_factory=OrderedDict)

    def keep(self, key: JobKey, opened: Opened) -> None:
        """Keep one message, unless its sender or attempt has its share already."""
        senders = self._kept.setdefault(key, {})
        while len(self._kept) > self.most_attempts:
            self._kept.popitem(last=False)
        if opened.sender not in senders and len(senders) >= self.most_senders:
            return
        messages = senders.setdefault(opened.sender, [])
        if len(messages) < self.most_messages:
            messages.append(opened)

    def take(self, key: JobKey) -> list[Opened]:
        """Everything that was kept for an attempt, which is forgotten here."""
        senders = self._kept.pop(key, {})
        return [opened for messages in senders.values() for opened in messages]

    def forget(self, key: JobKey) -> None:
        """Drop what was kept for an attempt."""
        self._kept.pop(key, None)
