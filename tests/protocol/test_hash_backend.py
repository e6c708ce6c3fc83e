"""Importing the package picks the faster backend of eth-hash."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "import nesa; from eth_hash.auto import keccak; keccak(b''); print(keccak.hasher)"


@pytest.mark.parametrize(
    ("set_to", "named"), [(None, "PySha3Backend"), ("pycryptodome", "CryptodomeBackend")]
)
def test_the_faster_backend_unless_another_is_set(set_to: str | None, named: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ETH_HASH_BACKEND"}
    if set_to is not None:
        environment["ETH_HASH_BACKEND"] = set_to
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert named in found.stdout
