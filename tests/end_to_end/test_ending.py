"""However a network ends, no process of it is left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nesa.cli.main import main
from tests.end_to_end.processes import processes_of

ROOT = Path(__file__).parents[2]


def start(folder: Path) -> subprocess.Popen[str]:
    source = "import sys; from nesa.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", source, "devnet", "up", "--dir", str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    )


def read_until(program: subprocess.Popen[str], words: str) -> None:
    assert program.stdout is not None
    for line in program.stdout:
        if words in line:
            return
    raise AssertionError(f"the network ended before it said {words!r}")


def gone(folder: Path, seconds: float = 60) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if not processes_of(folder):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("number", "words", "code"),
    [
        (signal.SIGINT, "starting a chain", 130),
        (signal.SIGTERM, "deploying", 130),
        (signal.SIGKILL, "making keys for", -9),
    ],
    ids=["Ctrl-C", "SIGTERM", "kill -9"],
)
def test_a_network_that_is_stopped_leaves_nothing(
    tmp_path: Path, number: signal.Signals, words: str, code: int
) -> None:
    program = start(tmp_path)
    read_until(program, words)
    time.sleep(1)
    assert processes_of(tmp_path)
    program.send_signal(number)
    assert program.wait(120) == code
    assert gone(tmp_path)


def test_down_ends_a_network_from_another_shell(tmp_path: Path) -> None:
    program = start(tmp_path)
    read_until(program, "network file")
    network = json.loads((tmp_path / "network.json").read_text())
    assert network["chain_id"] == 31337
    assert Path(network["client"]["password_file"]).stat().st_mode & 0o077 == 0
    assert len(processes_of(tmp_path)) >= 10
    assert main(["devnet", "down", "--dir", str(tmp_path)]) == 0
    assert program.wait(120) == 130
    assert gone(tmp_path)
