"""What outsiders may use is listed, sorted, complete and loads late."""

from __future__ import annotations

import subprocess
import sys

import nesa
from nesa.protocol import errors


def test_the_list_is_sorted() -> None:
    constants = sorted(name for name in nesa.__all__ if name.isupper())
    others = sorted(name for name in nesa.__all__ if not name.isupper())
    assert nesa.__all__ == constants + others


def test_every_public_name_exists_and_has_a_home() -> None:
    for name in nesa.__all__:
        assert getattr(nesa, name) is not None
    homes = [name for names in nesa._HOMES.values() for name in names]
    assert sorted(homes) == sorted(nesa.__all__)


def test_every_error_of_the_tree_is_public() -> None:
    drawn = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.NesaError)
    }
    assert drawn <= set(nesa.__all__)


def test_the_protocol_alone_loads_neither_client_nor_web() -> None:
    source = "import nesa.protocol.errors, sys; print([m for m in sys.modules if m == 'web3'])"
    found = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
