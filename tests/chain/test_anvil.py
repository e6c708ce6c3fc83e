"""Local chains start on ports of their own and end with whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nesa.chain.anvil import (
    AnvilSettings,
    development_account,
    find_anvil,
    free_port,
    running_anvil,
    start_anvil,
)
from nesa.protocol.errors import InvalidConfiguration, Unavailable

PARENT = """
import sys, time
from nesa.chain.anvil import start_anvil
print(start_anvil().process.pid, flush=True)
time.sleep(600)
"""


def test_a_chain_ends_with_its_block() -> None:
    with running_anvil(AnvilSettings(chain_id=1234)) as anvil:
        assert int(anvil.rpc("eth_chainId"), 16) == 1234
    assert anvil.process.poll() is not None
    anvil.stop()


def test_two_chains_do_not_meet() -> None:
    with running_anvil() as one, running_anvil() as other:
        assert one.port != other.port


def test_a_taken_port_is_told() -> None:
    with (
        running_anvil(AnvilSettings(chain_id=77)) as anvil,
        pytest.raises(Unavailable, match="before it answered|another chain"),
    ):
        start_anvil(AnvilSettings(port=anvil.port))


def test_blocks_come_by_the_clock() -> None:
    with running_anvil(AnvilSettings(block_time=0.2)) as anvil:
        limit = time.monotonic() + 60
        while int(anvil.rpc("eth_blockNumber"), 16) < 2:
            assert time.monotonic() < limit
            time.sleep(0.1)


def test_state_survives_in_its_file(tmp_path: Path) -> None:
    settings = AnvilSettings(state=tmp_path / "state.json")
    with running_anvil(settings) as anvil:
        anvil.rpc("anvil_mine", "0x5")
    with running_anvil(settings) as anvil:
        assert int(anvil.rpc("eth_blockNumber"), 16) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_chain_dies_with_a_killed_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        if not _is_alive(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the chain outlived its parent")


def test_the_program_is_looked_for_where_it_is_said_to_be(tmp_path: Path) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_anvil({"ANVIL": str(program)}) == program
    assert find_anvil({"PATH": str(tmp_path)}) == program
    with pytest.raises(InvalidConfiguration, match="cannot be run"):
        find_anvil({"ANVIL": str(tmp_path / "none")})


def test_development_accounts_are_the_known_ones() -> None:
    expected = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    assert development_account(1).address == expected


def test_free_ports_are_free() -> None:
    assert 0 < free_port() < 65536


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"
