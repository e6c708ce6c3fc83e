"""Examples that are run where no network is up say how to start one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from examples.credit_decision import decide
from examples.medical_triage import triage

WORDS: dict[str, list[str]] = {
    triage.__file__: [],
    decide.__file__: ["--borrower", "0x" + "11" * 20],
}


@pytest.mark.parametrize(("command", "words"), WORDS.items(), ids=["triage", "decide"])
def test_it_says_how_to_start_one(command: str, words: list[str], tmp_path: Path) -> None:
    words = [*words, "--network", str(tmp_path / "network.json")]
    ended = subprocess.run(
        [sys.executable, command, *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "start a network with `nesa devnet up`" in ended.stderr
    assert "Traceback" not in ended.stderr
