"""Compiles the contracts with ape, and only when a source changed."""

from __future__ import annotations

import warnings
from pathlib import Path

from ape import project

from nesa.devnet.sources import compiled_stamp, is_compiled, mark_compiled, sources_digest

ROOT = Path(__file__).resolve().parents[2]

# The settings of ape's Solidity plugin, which says nothing to whoever deploys.
warnings.filterwarnings("ignore", message="Field 'import_remapping' has an incomplete definition")


def compile_if_changed() -> bool:
    """Bring ape's bytecode up to date; whether anything had to be done."""
    contracts, stamp = ROOT / "contracts", compiled_stamp(ROOT)
    if is_compiled(contracts, stamp):
        return False
    digest = sources_digest(contracts)
    project.load_contracts(use_cache=False)
    mark_compiled(contracts, stamp, digest)
    return True
