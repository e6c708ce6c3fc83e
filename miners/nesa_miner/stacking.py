"""Queries that wait for the same shard at the same time run together where that is faster.

Nobody waits for a stack to fill: a query that finds a free core runs at once, and alone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from statistics import median
from threading import BoundedSemaphore, Lock
from typing import Final

from nesa.models.runtime import KnownAnswer, ShardRunner
from nesa.models.stacking import best_size
from nesa.protocol.versions import ShardFacts
from nesa_miner.work import Tensors

LONGEST_MEASURED: Final = 0.5
"""Seconds of one run from which on no larger stack is tried."""

RUNS: Final = 3

RunStacked = Callable[[Sequence[Sequence[bytes]]], list[Tensors]]


class StackedRunner:
    """One shard as `Runner`; up to `size` waiting queries share a run, as many runs at once as
    there are `cores`."""

    def __init__(self, run_stacked: RunStacked, size: int, cores: int) -> None:
        self._run_stacked = run_stacked
        self._size = size
        self._cores = BoundedSemaphore(cores)
        self._lock = Lock()
        self._waiting: deque[tuple[Sequence[bytes], Future[Tensors]]] = deque()

    def run(self, tensors: Sequence[bytes]) -> Tensors:
        """Output tensors for input tensors; errors as `ShardRunner.run`.

        Every caller takes a stack from the front of the line, its own query in it or not: there
        are as many callers as queries, so each query is taken.
        """
        result: Future[Tensors] = Future()
        with self._lock:
            self._waiting.append((tensors, result))
        with self._cores:
            self._run_front()
        return result.result()

    def _run_front(self) -> None:
        with self._lock:
            count = min(self._size, len(self._waiting))
            stack = [self._waiting.popleft() for _ in range(count)]
        if not stack:
            return
        try:
            outputs = self._run_stacked([tensors for tensors, _ in stack])
        except Exception as error:  # whose fault it is shows when they run one by one
            if len(stack) == 1:
                stack[0][1].set_exception(error)
                return
            self._run_alone(stack)
            return
        for (_, result), output in zip(stack, outputs, strict=True):
            result.set_result(output)

    def _run_alone(self, stack: Sequence[tuple[Sequence[bytes], Future[Tensors]]]) -> None:
        for tensors, result in stack:
            try:
                (output,) = self._run_stacked([tensors])
            except Exception as error:
                result.set_exception(error)
            else:
                result.set_result(output)


def checked_runner(
    file: bytes,
    facts: ShardFacts,
    answers: Sequence[KnownAnswer],
    most: int,
    *,
    is_own: bool = False,
) -> ShardRunner | StackedRunner:
    """A shard that gave its known answers here, alone and in stacks of up to `most` queries.

    A file that does not stack although its rows do, such as one of another compiler, runs its
    queries one by one. `is_own` as `ShardRunner` takes it.

    Raises:
        InvalidModel, IntegrityError: see `ShardRunner`; this machine computes something else.
    """
    if most > 1 and answers:
        # ONNX Runtime's errors share no public base; whatever is wrong shows again below.
        with contextlib.suppress(Exception):
            stack = ShardRunner(file, facts, stacks=True, is_own=is_own)
            stack.self_test(answers)
            return stacked(stack, answers[0].inputs, most)
    runner = ShardRunner(file, facts, is_own=is_own)
    runner.self_test(answers)
    return runner


def stacked(runner: ShardRunner, inputs: Sequence[bytes], most: int) -> StackedRunner:
    """The shard with the stack that is fastest here, measured on `inputs` of one query."""

    def seconds(size: int) -> float:
        times = []
        for _ in range(RUNS):
            begun = time.perf_counter()
            runner.run_stacked([inputs] * size)
            times.append(time.perf_counter() - begun)
        return median(times)

    return StackedRunner(runner.run_stacked, best_size(_measured(seconds, most)), _cores())


def _measured(seconds: Callable[[int], float], most: int) -> dict[int, float]:
    """Seconds of one run of 1, 2, 4 .. `most` queries, the longer ones where they are short."""
    seconds(1)  # the first run makes what later ones have
    found, size = {1: seconds(1)}, 2
    while size <= most and found[size // 2] < LONGEST_MEASURED:
        found[size] = seconds(size)
        size *= 2
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0))
