"""Starts programs that cannot outlive the process that started them.

Each program leads a process group of its own, so a Ctrl-C in the terminal reaches the supervisor
alone. Two things hold when the supervisor dies without a word: the kernel signals every direct
child (Linux), and the guard, a tiny process on the other end of a pipe, kills every group.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from nesa.devnet import guard
from nesa.protocol.errors import ExhaustedResource, InvalidConfiguration, Unavailable

GRACE_SECONDS: Final = 5.0
"""How long a program may take to end after SIGTERM."""

_PR_SET_PDEATHSIG: Final = 1
_LONGEST_QUOTE: Final = 300


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: `log` takes everything that it prints."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A started program."""

    program: Program
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None


class Supervisor:
    """Starts programs and ends all of them when its context ends."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._guard: subprocess.Popen[str] | None = None
        self._running: dict[str, Running] = {}
        self._stopped: set[int] = set()

    async def __aenter__(self) -> Supervisor:
        self._guard = _start_guard()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_all()
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()

    @property
    def running(self) -> Mapping[str, Running]:
        """Everything that was started, by name, also what has ended by itself."""
        return self._running

    async def start(self, program: Program) -> Running:
        """Start `program`; a program of that name that ended may be started again.

        Raises:
            InvalidConfiguration: there is no such command.
            ExhaustedResource: the log cannot be written or no process can be made.
        """
        running = Running(program, await _spawn(program))
        self._tell_guard(f"+{running.pid}")
        self._running[program.name] = running
        return running

    async def stop(self, name: str) -> None:
        """End one program: SIGTERM, then SIGKILL for its whole group after the grace."""
        running = self._running[name]
        self._stopped.add(running.pid)
        _signal_group(running, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(running.process.wait(), self._grace)
        _signal_group(running, signal.SIGKILL)
        await running.process.wait()
        self._tell_guard(f"-{running.pid}")

    async def kill(self, name: str) -> None:
        """SIGKILL one program and its group, as a power cut would."""
        running = self._running[name]
        self._stopped.add(running.pid)
        _signal_group(running, signal.SIGKILL)
        await running.process.wait()
        self._tell_guard(f"-{running.pid}")

    async def stop_all(self) -> None:
        """End everything, all at once, the first started (the chain) after the others."""
        names = list(self._running)
        await asyncio.gather(*(self.stop(name) for name in names[1:]))
        if names:
            await self.stop(names[0])

    async def complete(self, program: Program) -> None:
        """Run a program that ends by itself.

        Raises:
            Unavailable: it failed; the message has its last words.
        """
        running = await self.start(program)
        failed = await running.process.wait() != 0
        self._tell_guard(f"-{running.pid}")
        del self._running[program.name]
        if failed:
            raise Unavailable(describe_failure(running))

    def ended(self) -> tuple[Running, ...]:
        """Programs that ended although nobody stopped them here."""
        return tuple(
            running
            for running in self._running.values()
            if not running.is_alive and running.pid not in self._stopped
        )

    def _tell_guard(self, line: str) -> None:
        if self._guard is None or self._guard.stdin is None:
            raise InvalidConfiguration("the supervisor is used outside of its context")
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.write(line + "\n")
            self._guard.stdin.flush()


def describe_failure(running: Running) -> str:
    """One sentence about a program that ended: why, and its last words when it gave up itself."""
    program, code = running.program, running.process.returncode or 0
    said = last_line(program.log) if code > 0 else ""
    words = f"{program.name} {end_in_words(code)}"
    return f"{words} ({said}); see {program.log}" if said else f"{words}; see {program.log}"


def end_in_words(code: int) -> str:
    """What an exit code says of an end; a negative one is the signal that caused it."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def last_line(log: Path) -> str:
    """The last line of a log that says anything."""
    if not log.is_file():
        return ""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")[:_LONGEST_QUOTE]


def _start_guard() -> subprocess.Popen[str]:
    command = [sys.executable, "-I", "-S", str(Path(guard.__file__))]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


async def _spawn(program: Program) -> asyncio.subprocess.Process:
    with _open_log(program.log) as log:
        try:
            return await asyncio.create_subprocess_exec(
                *program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **program.environment},
                cwd=program.directory,
                start_new_session=True,
                preexec_fn=_die_with_parent(os.getpid()),
            )
        except FileNotFoundError as error:
            name = program.command[0]
            raise InvalidConfiguration(f"{name} is not there: run `make setup` first") from error
        except OSError as error:
            raise ExhaustedResource(f"cannot start {program.name}: {error.strerror}") from error


def _open_log(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise ExhaustedResource(f"cannot write the log {path}: {error.strerror}") from error


def _signal_group(running: Running, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(running.pid, number)


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """What the child runs before its program, so that the kernel ends it with `parent`."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel
