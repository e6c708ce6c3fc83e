"""What a miner loads before it needs it counts against the memory that it was given."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"ezkl", "dcap_qvl", "torch"}


def test_a_miner_starts_without_what_only_few_duties_need() -> None:
    program = "import sys, nesa_miner.cli, nesa_miner.daemon; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert not HEAVY & set(found.stdout.decode().split())
