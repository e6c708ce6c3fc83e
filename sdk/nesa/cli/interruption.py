"""Runs a coroutine that Ctrl-C, SIGTERM and a closed terminal end in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_Result = TypeVar("_Result")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_until_told(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What `work` returns.

    The first signal cancels it, so that everything it started is ended by its own contexts; a
    second one ends this process at once.

    Raises:
        KeyboardInterrupt: a signal came first.
    """
    return asyncio.run(_cancellable(work))


async def _cancellable(work: Coroutine[Any, Any, _Result]) -> _Result:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    told: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        told.append(number)
        for one in SIGNALS:
            loop.remove_signal_handler(one)
        task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            raise KeyboardInterrupt from None
        raise
