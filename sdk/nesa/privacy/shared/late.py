"""Replies that a quorum did not wait for: taken in the background, for they are work as well."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from nesa.protocol.ids import Address


class LateReplies:
    """What members of a session are still at work on, by member."""

    def __init__(self) -> None:
        self._tasks: dict[Address, set[asyncio.Task[None]]] = {}

    def follow(self, member: Address, taken: Coroutine[None, None, None]) -> None:
        """Have a member's reply taken in the background; `taken` ends with its round."""
        tasks = self._tasks.setdefault(member, set())
        task = asyncio.create_task(taken)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def arrived(self, member: Address) -> None:
        """Returns once no reply of the member is on its way."""
        if tasks := self._tasks.get(member):
            await asyncio.wait(set(tasks))

    async def stop(self) -> None:
        """Wait for none of them any longer."""
        tasks = [task for each in self._tasks.values() for task in each]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
