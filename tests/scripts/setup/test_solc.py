"""The JavaScript compiler answers like the native one the prover expects."""

import json
import subprocess

from scripts.setup.npm_packages import read_pins
from scripts.setup.solc import SOLC


def solc(*options: str, given: str = "") -> str:
    done = subprocess.run(
        [SOLC, *options], input=given, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_it_reports_the_pinned_version_as_a_native_build():
    version = solc("--version").splitlines()[-1]

    assert version.startswith(f"Version: {read_pins()['solc'].version}+commit.")
    assert version.endswith(".Linux.g++")


def test_standard_json_goes_in_and_comes_out_whole():
    functions = "".join(
        f"function f{i}() external pure returns (uint) {{ return {i}; }}" for i in range(300)
    )
    given = {
        "language": "Solidity",
        "sources": {"a.sol": {"content": f"pragma solidity 0.8.20; contract A {{ {functions} }}"}},
        "settings": {"outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}}},
    }

    answer = json.loads(solc("--standard-json", given=json.dumps(given)))

    assert "errors" not in answer or all(e["severity"] != "error" for e in answer["errors"])
    assert len(answer["contracts"]["a.sol"]["A"]["abi"]) == 300
