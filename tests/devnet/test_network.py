"""A folder that was used before."""

from __future__ import annotations

from pathlib import Path

from nesa.devnet.layout import Layout
from nesa.devnet.network import clear_remains


def test_an_earlier_network_is_cleared_and_told(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert not clear_remains(layout)
    layout.lease.touch()
    assert not clear_remains(layout)
    layout.operator("miner-1").mkdir(parents=True)
    layout.network.touch()
    assert clear_remains(layout)
    assert list(tmp_path.iterdir()) == [layout.lease]
