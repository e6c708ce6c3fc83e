"""Nothing that the supervisor started outlives it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from nesa.devnet.guard import surviving
from nesa.devnet.processes import Program, Supervisor, describe_failure, end_in_words
from nesa.protocol.errors import InvalidConfiguration, Unavailable

FAMILY = "import subprocess, sys; subprocess.run(['sleep', '600'])"
"""A program with a child of its own, as a miner has while it proves."""


def group_is_alive(group: int) -> bool:
    """Whether any process of the group is left (zombies of other parents aside)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] != "Z":
                    return True
    return False


def wait_until_gone(groups: list[int], seconds: float = 60) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if not any(group_is_alive(group) for group in groups):
            return True
        time.sleep(0.05)
    return False


def python(name: str, source: str, folder: Path) -> Program:
    return Program(name, (sys.executable, "-S", "-c", source), folder / f"{name}.log")


async def test_leaving_the_context_ends_every_group(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        started = [
            await supervisor.start(python(f"family-{index}", FAMILY, tmp_path))
            for index in range(3)
        ]
        groups = [running.pid for running in started]
        assert all(group_is_alive(group) for group in groups)
    assert wait_until_gone(groups)


async def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); "
    async with Supervisor(grace=0.3) as supervisor:
        running = await supervisor.start(python("deaf", deaf + "time.sleep(600)", tmp_path))
        while "up" not in (tmp_path / "deaf.log").read_text():
            await asyncio.sleep(0.02)
        await supervisor.stop("deaf")
        assert running.process.returncode == -signal.SIGKILL


async def test_a_program_that_fails_is_named_with_its_last_words(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        source = "print('no space'); raise SystemExit(3)"
        with pytest.raises(Unavailable, match=r"miner-1 ended with code 3 \(no space\)"):
            await supervisor.complete(python("miner-1", source, tmp_path))


async def test_a_program_that_is_killed_is_named_with_the_signal_and_no_words(
    tmp_path: Path,
) -> None:
    async with Supervisor() as supervisor:
        source = "print('all is well', flush=True); import time; time.sleep(600)"
        running = await supervisor.start(python("miner-1", source, tmp_path))
        while "all is well" not in running.program.log.read_text():
            await asyncio.sleep(0.02)
        os.kill(running.pid, signal.SIGKILL)
        await running.process.wait()
    log = running.program.log
    assert describe_failure(running) == f"miner-1 was killed by SIGKILL; see {log}"


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "ended with code 0"), (-15, "was killed by SIGTERM"), (-63, "was killed by signal 63")],
)
def test_an_exit_code_in_words(code: int, words: str) -> None:
    assert end_in_words(code) == words


async def test_only_what_ends_by_itself_counts_as_ended(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        await supervisor.start(python("stopped", FAMILY, tmp_path))
        await supervisor.start(python("killed", FAMILY, tmp_path))
        fallen = await supervisor.start(python("fallen", "raise SystemExit(3)", tmp_path))
        await supervisor.complete(python("finished", "pass", tmp_path))
        await supervisor.stop("stopped")
        await supervisor.kill("killed")
        await fallen.process.wait()
        assert supervisor.ended() == (fallen,)


async def test_a_command_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        with pytest.raises(InvalidConfiguration, match="make setup"):
            await supervisor.start(Program("x", ("nesa-no-such",), tmp_path / "x.log"))


PARENT = """
import asyncio, os, signal, sys
from pathlib import Path
from nesa.devnet.processes import Program, Supervisor

async def main():
    folder = Path(sys.argv[1])
    async with Supervisor() as supervisor:
        for index in range(3):
            command = (sys.executable, "-S", "-c", sys.argv[2])
            program = Program(f"family-{index}", command, folder / f"{index}.log")
            running = await supervisor.start(program)
            print(running.pid, flush=True)
        print("ready", flush=True)
        await asyncio.sleep(600)

# Whoever runs the tests in the background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_parent_that_dies_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path), FAMILY]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout is not None
    groups = []
    for line in parent.stdout:
        if line.strip() == "ready":
            break
        groups.append(int(line))
    time.sleep(0.2)
    assert all(group_is_alive(group) for group in groups)
    os.kill(parent.pid, number)
    parent.wait(60)
    assert wait_until_gone(groups)


def test_the_guard_forgets_groups_that_are_gone() -> None:
    assert surviving(["+7\n", "+8\n", "-7\n"]) == {8}
