"""Tasks that live as long as the daemon, or as long as what they are for."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Starts a task."""


class TaskPool:
    """Starts tasks and cancels what is left of them at the end; the first that fails is the end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run_until_told(self, *loops: Coroutine[Any, Any, None]) -> None:
        """Run endless loops until SIGTERM, SIGINT or the failure of a task, which is raised."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        try:
            for loop in loops:
                self.spawn(loop)
            await self._stop.wait()
        finally:
            await self._cancel()
        if self._failure is not None:
            raise self._failure

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = self._failure or failure
            self._stop.set()

    async def _cancel(self) -> None:
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class KeyedTasks(Generic[K]):
    """Tasks by what they are for, so that they can be ended together with it."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._tasks: dict[K, set[asyncio.Task[None]]] = {}

    def spawn(self, key: K, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task for `key`."""
        task = self._spawn(work)
        self._tasks.setdefault(key, set()).add(task)
        task.add_done_callback(lambda ended: self._ended(key, ended))
        return task

    def cancel(self, key: K) -> None:
        """Cancel all tasks of `key` but the one that runs now: it knows what it does."""
        for task in self._tasks.get(key, set()) - {asyncio.current_task()}:
            task.cancel()

    def _ended(self, key: K, task: asyncio.Task[None]) -> None:
        tasks = self._tasks[key]
        tasks.discard(task)
        if not tasks:
            del self._tasks[key]
