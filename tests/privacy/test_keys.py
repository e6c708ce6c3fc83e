"""Encryption key files."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nesa.privacy.keys import generate_key, load_key, public_bytes, public_key, save_key
from nesa.protocol.errors import InvalidConfiguration, InvalidMessage

QUICK = 2**10


def test_a_key_comes_back_from_its_file_which_only_the_owner_reads(tmp_path: Path) -> None:
    path, key = tmp_path / "encryption.json", generate_key()
    save_key(path, key, "a password", QUICK)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.private_bytes_raw().hex() not in path.read_text()
    assert load_key(path, "a password").private_bytes_raw() == key.private_bytes_raw()
    with pytest.raises(InvalidConfiguration, match="wrong password"):
        load_key(path, "another password")
    with pytest.raises(InvalidConfiguration, match="cannot write"):
        save_key(path, key, "a password", QUICK)


def test_a_file_that_holds_another_key_than_it_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "encryption.json"
    save_key(path, generate_key(), "a password", QUICK)
    document = json.loads(path.read_text()) | {"public_key": public_bytes(generate_key()).hex()}
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidConfiguration, match="another key"):
        load_key(path, "a password")


@pytest.mark.skipif(sys.platform == "win32", reason="sizes of files are limited elsewhere")
def test_a_file_that_does_not_fit_is_not_left_in_halves(tmp_path: Path) -> None:
    path = tmp_path / "encryption.json"
    script = (
        "import resource, sys; from pathlib import Path; from nesa.privacy import keys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"keys.save_key(Path(sys.argv[1]), keys.generate_key(), 'a password', {QUICK})"
    )
    found = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert "cannot write the key file" in found.stderr
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "nesa-x25519"}', "no json"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "encryption.json"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration):
        load_key(path, "a password")


def test_a_public_key_is_32_bytes() -> None:
    key = generate_key().public_key()
    assert public_bytes(public_key(public_bytes(key))) == public_bytes(key)
    with pytest.raises(InvalidMessage):
        public_key(bytes(31))
