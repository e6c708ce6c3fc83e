"""The process of a workshop: `python -m tests.mutation.bench` in a copy of the tree.

Reads one question a line (path of the mutant, tests, timeout) and answers each with a line.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any, Final

import boa
import pytest
from vyper.exceptions import VyperException

import tests.deployment as deployment
import tests.revm as revm
from tests.mutation.workshop import Verdict

ROOT: Final = Path.cwd()
Ready = dict[str, dict[Path, Any]]
PYTEST: Final = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "--no-summary")
IMPORT: Final = re.compile(r"^from (\.\.?\w*|contracts)(?:\.(\w+))? import (\w+)", re.MULTILINE)


def main() -> None:
    """Answer until the workshop closes the pipe."""
    boa.interpret.set_cache_dir(str(ROOT / ".cache" / "boa"))
    ready: Ready = _compile_everything() if "--warm" in sys.argv else {"boa": {}, "revm": {}}
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(_judge(question, ready)), flush=True)


def _compile_everything() -> Ready:
    contracts = [p for p in ROOT.glob("contracts/*/*.vy") if p.parent.name != "lib"]
    harnesses = list(ROOT.glob("tests/contracts/harness/*.vy"))
    files = contracts + harnesses
    return {
        "boa": {file: deployment._load(file) for file in files},
        "revm": {file: revm._compiled(_stem(file)) for file in files},
    }


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
                verdict, _, killer = pipe.read().partition(" ")
            return verdict.replace("-", " ") or str(Verdict.KILLED), killer
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
    try:
        verdict = _verdict(question, ready)
    except VyperException:
        verdict = "does-not-compile "
    os.write(writing, verdict.encode())
    os._exit(0)


def _verdict(question: dict[str, Any], ready: Ready) -> str:
    _forget(ROOT / question["path"], ready)
    watcher = Watcher()
    code = pytest.main([*PYTEST, *question["tests"]], plugins=[watcher])
    if code == pytest.ExitCode.OK:
        return f"{Verdict.SURVIVED} "
    if watcher.stillborn:
        return "does-not-compile "
    return f"{Verdict.KILLED} {watcher.killer}"


def _forget(changed: Path, ready: Ready) -> None:
    """Makes the tests compile what imports `changed`, and take the rest from before the fork."""
    kept = {name: dict(files) for name, files in ready.items()}
    for files in kept.values():
        for file in list(files):
            if file == changed or changed in _imports(file):
                del files[file]
    load, compiled = deployment._load, revm._compiled.__wrapped__
    deployment.deployer.cache_clear()
    deployment.harness.cache_clear()
    deployment._load = lambda path: kept["boa"].get(path) or load(path)
    revm._compiled = cache(lambda path: kept["revm"].get(ROOT / f"{path}.vy") or compiled(path))


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
    """Sees which test failed first, and whether that was for want of a contract."""

    def __init__(self) -> None:
        self.killer = ""
        self.stillborn = False

    def pytest_exception_interact(self, call: Any, report: Any) -> None:
        """Pytest tells of a failure."""
        self.killer = self.killer or report.nodeid
        self.stillborn = self.stillborn or call.excinfo.errisinstance(VyperException)


if __name__ == "__main__":
    main()
