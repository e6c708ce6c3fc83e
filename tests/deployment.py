"""Deploys the contracts on titanoboa for tests, bottom up."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import boa
from boa.contracts.vyper.vyper_contract import VyperContract, VyperDeployer

ROOT = Path(__file__).parent.parent


@cache
def deployer(path: str) -> VyperDeployer:
    """Compiled contract at `path` below `contracts/`, without its extension."""
    return _load(ROOT / "contracts" / f"{path}.vy")


@cache
def harness(name: str) -> VyperDeployer:
    """Compiled harness of the tests."""
    return _load(ROOT / "tests" / "contracts" / "harness" / f"{name}.vy")


def load_harness(name: str, *arguments: Any) -> VyperContract:
    """A deployed harness of the tests."""
    return harness(name).deploy(*arguments)


def _load(path: Path) -> VyperDeployer:
    boa.interpret.set_search_paths([str(ROOT)])
    return boa.load_partial(str(path))
