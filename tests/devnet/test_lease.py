"""One supervisor a folder, and `down` finds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nesa.devnet import lease
from nesa.protocol.errors import InvalidConfiguration

HOLDER = """
import sys, time
from pathlib import Path
from nesa.devnet import lease
with lease.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_an_unowned_folder_has_no_owner(tmp_path: Path) -> None:
    assert lease.owner(tmp_path / "pid") is None
    assert lease.end_owner(tmp_path / "pid", 1) is False


def test_a_lease_ends_with_its_context(tmp_path: Path) -> None:
    with lease.hold(tmp_path / "pid"):
        pass
    assert lease.owner(tmp_path / "pid") is None


def test_a_second_owner_is_refused_and_the_first_can_be_ended(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "held"
    with pytest.raises(InvalidConfiguration, match="nesa devnet down"), lease.hold(path):
        pass
    assert lease.owner(path) == holder.pid
    assert lease.end_owner(path, 60) is True
    assert holder.wait(60) != 0
