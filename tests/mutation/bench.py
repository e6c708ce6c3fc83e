"""The process of a workshop: `python -m tests.mutation.bench` in a copy of the tree.

Says when it is ready, then reads one question a line (path of the mutant, tests, timeout) and
answers each with a line.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import boa
import pytest
from vyper.exceptions import VyperException

import tests.deployment as deployment
import tests.market as market
import tests.revm as revm
from tests.mutation.workshop import READY, Verdict

ROOT: Final = Path.cwd()
Ready = dict[str, dict[Path, Any]]
ABOVE: Final = {"QueryMarket", "Committee", "Pricing"}
"""Contracts that a fork binds anew to a world whose operators are seated already."""
SEATED: Final = boa.Env()
BOUND: Final[list[Callable[[], market.World]]] = []
PYTEST: Final = ("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore")
IMPORT: Final = re.compile(r"^from (\.\.?\w*|contracts)(?:\.(\w+))? import (\w+)", re.MULTILINE)


def main() -> None:
    """Answer until the workshop closes the pipe."""
    boa.interpret.set_cache_dir(str(ROOT / ".cache" / "boa"))
    ready: Ready = _compile_everything() if "--warm" in sys.argv else {"boa": {}, "revm": {}}
    if "--warm" in sys.argv:
        _seat_a_world()
    gc.freeze()
    print(READY, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(_judge(question, ready)), flush=True)


def _compile_everything() -> Ready:
    contracts = [p for p in ROOT.glob("contracts/*/*.vy") if p.parent.name != "lib"]
    harnesses = list(ROOT.glob("tests/contracts/harness/*.vy"))
    files = contracts + harnesses
    return {
        "boa": {file: deployment._load(file) for file in files},
        "revm": {file: revm.compiled_as(_stem(file)) for file in files},
    }


def _seat_a_world() -> None:
    """Builds the tests' world once, in a chain of its own."""
    with boa.swap_env(SEATED):
        world = market.build_world()

    def bound() -> market.World:
        lower = world.lower
        known = (lower.registry, lower.router)
        world.committee = deployment.deployer("market/Committee").deploy(lower.vault, *known)
        sold = (lower.parameters, lower.registry, lower.vault)
        world.pricing = deployment.deployer("market/Pricing").deploy(*sold)
        below = (lower.token, lower.parameters, lower.vault)
        with boa.env.prank(world.deployer):
            deploy = deployment.deployer("market/QueryMarket").deploy
            world.market = deploy(*below, world.committee, world.pricing, market.CREDIT_WINDOW)
        return world

    BOUND.append(bound)


def _stem(file: Path) -> str:
    return str(file.relative_to(ROOT).with_suffix(""))


def _judge(question: dict[str, Any], ready: Ready) -> dict[str, Any]:
    begin = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0)
        _answer(question, ready, writing)
    os.close(writing)
    verdict, killer = _wait(child, reading, begin + float(question["timeout"]))
    return {"verdict": verdict, "killer": killer, "seconds": time.monotonic() - begin}


def _wait(child: int, reading: int, deadline: float) -> tuple[str, str]:
    while time.monotonic() < deadline:
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            with os.fdopen(reading) as pipe:
                verdict, killer = json.loads(pipe.read() or '["killed", "the process ended"]')
            return verdict, killer
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    return Verdict.TIMED_OUT, ""


def _answer(question: dict[str, Any], ready: Ready, writing: int) -> None:
    """In the fork: compile what is affected, run the tests, write the verdict and end."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    _forget(ROOT / question["path"], ready)
    code = pytest.main([*PYTEST, *question["tests"]], plugins=[Watcher(writing)])
    # A failure ends the fork before: here are tests that could not be collected.
    _end(writing, Verdict.SURVIVED if code == pytest.ExitCode.OK else Verdict.UNTESTED)


def _end(writing: int, verdict: Verdict, killer: str = "") -> None:
    """Ends the fork at once: what pytest does in the end takes longer than a test."""
    os.write(writing, json.dumps([verdict, killer]).encode())
    os._exit(0)


def _forget(changed: Path, ready: Ready) -> None:
    """Makes the tests compile what imports `changed`, and take the rest from before the fork."""
    kept = {name: dict(files) for name, files in ready.items()}
    lost = set()
    for files in kept.values():
        for file in list(files):
            if file == changed or changed in _imports(file):
                del files[file]
                lost.add(file)
    if BOUND and {file.stem for file in lost if file.parent.parent.stem == "contracts"} <= ABOVE:
        boa.set_env(SEATED)
        market.build_world = BOUND[0]  # type: ignore[assignment]
    load, compiled = deployment._load, revm.compiled_as.__wrapped__
    deployment.deployer.cache_clear()
    deployment.harness.cache_clear()
    deployment._load = lambda path: kept["boa"].get(path) or load(path)

    @cache
    def compiled_as(path: str, build: revm.Build = revm.Build.AS_WRITTEN) -> dict[str, Any]:
        ready = kept["revm"] if build is revm.Build.AS_WRITTEN else {}
        return dict(ready.get(ROOT / f"{path}.vy") or compiled(path, build))

    revm.compiled_as = compiled_as


def _imports(file: Path) -> set[Path]:
    """Modules that a contract imports, and what those import."""
    found: set[Path] = set()
    for first, second, name in IMPORT.findall(file.read_text()):
        folder = file.parent if first == "." else ROOT / "contracts" / (second or first.strip("."))
        module = folder / f"{name}.vy"
        if module.exists() and module not in found:
            found |= {module, *_imports(module)}
    return found


class Watcher:
    """Ends the fork with the first failure, or after the last test."""

    def __init__(self, writing: int) -> None:
        self.writing = writing

    def pytest_exception_interact(self, call: Any, report: Any) -> None:
        """Pytest tells of a failure."""
        is_stillborn = call.excinfo.errisinstance(VyperException)
        verdict = Verdict.STILLBORN if is_stillborn else Verdict.KILLED
        _end(self.writing, verdict, report.nodeid)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Pytest has run everything."""
        if exitstatus == pytest.ExitCode.OK:
            _end(self.writing, Verdict.SURVIVED)


if __name__ == "__main__":
    main()
