"""A copy of the tree in which contracts lose lines, and a process that tests them there.

The process imports and compiles everything once; each mutant is judged by a fork of it that
compiles only what the mutant changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("contracts", "tests", "pyproject.toml")
PACKAGES: Final = ("sdk", "miners", "oracle")
LINKED: Final = (*PACKAGES, "models", "scripts", "docs", "benchmarks")

READY: Final = "ready"
"""What the process says once it has compiled what it keeps."""


class Verdict(StrEnum):
    """How a mutant ended."""

    KILLED = "killed"
    SURVIVED = "survived"
    STILLBORN = "does not compile"
    TIMED_OUT = "timed out"
    UNTESTED = "tests do not run"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the first test that failed."""

    verdict: Verdict
    killer: str = ""
    seconds: float = 0.0


class Workshop:
    """One copy of the tree with its process; a context manager.

    A warm one compiles every contract before the first mutant comes, which pays from about five.
    """

    def __init__(self, folder: Path, is_warm: bool = True) -> None:
        self.tree, self.is_warm, self._is_ready = folder, is_warm, False
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Workshop:
        self._copy()
        command = [sys.executable, "-m", "tests.mutation.bench"]
        command += ["--warm"] if self.is_warm else []
        # The tree's own packages, wherever those of the environment are installed from.
        packages = [self.tree, *(self.tree / name for name in PACKAGES)]
        path = os.pathsep.join(map(str, packages))
        environment = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command,
            cwd=self.tree,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _copy(self) -> None:
        self.tree.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            target = self.tree / name
            if (ROOT / name).is_dir():
                shutil.rmtree(target, ignore_errors=True)
                ignored = shutil.ignore_patterns("__pycache__", ".cache")
                shutil.copytree(ROOT / name, target, ignore=ignored)
            else:
                shutil.copy2(ROOT / name, target)
        for name in LINKED:
            link = self.tree / name
            if (ROOT / name).exists() and not link.is_symlink():
                link.symlink_to(ROOT / name)

    def judge(
        self, path: str, source: str, stages: Sequence[Sequence[str]], timeout: float
    ) -> Judgement:
        """Runs tests until one fails, with `source` in place of the file at `path`."""
        self._wait_until_ready()
        file = self.tree / path
        original = file.read_text()
        file.write_text(source)
        try:
            for tests in stages:
                judgement = self._ask({"path": path, "tests": list(tests), "timeout": timeout})
                if judgement.verdict is not Verdict.SURVIVED:
                    break
            return judgement
        finally:
            file.write_text(original)

    def _wait_until_ready(self) -> None:
        """What is written before would be compiled into what all other mutants are tested with."""
        if not self._is_ready:
            assert self._read() == READY
            self._is_ready = True

    def _ask(self, question: dict[str, object]) -> Judgement:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        values = json.loads(self._read())
        return Judgement(Verdict(values["verdict"]), values["killer"], values["seconds"])

    def _read(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the workshop's process ended; its errors are above")
        return line.rstrip()
