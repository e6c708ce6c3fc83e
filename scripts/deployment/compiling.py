"""Compiles the contracts with ape, and only when a source changed."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from ape import project

from nesa.devnet.sources import compile_once, compiled_stamp

ROOT = Path(__file__).resolve().parents[2]

# The settings of ape's Solidity plugin, which says nothing to whoever deploys.
warnings.filterwarnings("ignore", message="Field 'import_remapping' has an incomplete definition")


def compile_if_changed() -> bool:
    """Bring ape's bytecode up to date; whether anything had to be done."""
    contracts, stamp = ROOT / "contracts", compiled_stamp(ROOT)
    if compile_once(contracts, stamp, lambda: project.load_contracts(use_cache=False)):
        return True
    if stamp.stat().st_mtime > _beginning():
        # Another command compiled since ape read, on being imported, what was there.
        project.load_manifest()
    return False


def _beginning() -> float:
    """When this process loaded its first modules, in seconds since the epoch."""
    now = logging.makeLogRecord({})
    return now.created - now.relativeCreated / 1000
