"""The chain with all contracts that the oracle's tests have."""

from __future__ import annotations

from tests.oracle.conftest import built, connection, network

__all__ = ["built", "connection", "network"]
