"""Keys on disk open with their password and tell nothing otherwise."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nesa.chain.keystore import (
    create_keystore,
    load_keystore,
    read_password,
    read_password_file,
)
from nesa.protocol.errors import InvalidConfiguration

CHEAP = 2**10


def test_a_created_key_is_loaded_with_its_password(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signer.json"
    created = create_keystore(path, "open sesame", cost=CHEAP)
    assert load_keystore(path, "open sesame").address == created.address
    assert created.key.hex() not in path.read_text()


def test_only_the_owner_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "signer.json"
    create_keystore(path, "secret", cost=CHEAP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_given_key_is_kept(tmp_path: Path) -> None:
    key = bytes(31) + b"\x07"
    account = create_keystore(tmp_path / "signer.json", "secret", key, CHEAP)
    assert bytes(account.key) == key


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    create_keystore(tmp_path / "signer.json", "secret", cost=CHEAP)
    with pytest.raises(InvalidConfiguration, match="exists"):
        create_keystore(tmp_path / "signer.json", "secret", cost=CHEAP)


def test_the_wrong_password_is_a_sentence_without_the_password(tmp_path: Path) -> None:
    path = tmp_path / "signer.json"
    create_keystore(path, "right", cost=CHEAP)
    with pytest.raises(InvalidConfiguration, match="the password does not open") as caught:
        load_keystore(path, "wrong-guess")
    assert "wrong-guess" not in str(caught.value)


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="protects nothing"):
        create_keystore(tmp_path / "signer.json", "")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 3}', '{"version": 1}', "\x00"])
def test_other_files_are_no_keystores(tmp_path: Path, content: str) -> None:
    path = tmp_path / "signer.json"
    path.write_text(content)
    with pytest.raises(InvalidConfiguration, match="not a version 3 keystore"):
        load_keystore(path, "secret")


def test_a_missing_keystore_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot read the keystore"):
        load_keystore(tmp_path / "none.json", "secret")


def test_the_password_file_wins_over_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\nsecond line\n")
    both = {"NESA_PASSWORD_FILE": str(file), "NESA_PASSWORD": "from the variable"}
    assert read_password("NESA_PASSWORD", both) == "from the file"
    assert read_password("NESA_PASSWORD", {"NESA_PASSWORD": "plain"}) == "plain"


def test_without_a_password_the_variables_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="set NESA_PASSWORD_FILE or NESA_PASSWORD"):
        read_password("NESA_PASSWORD", {})
    with pytest.raises(InvalidConfiguration, match="cannot read"):
        read_password("NESA_PASSWORD", {"NESA_PASSWORD_FILE": str(tmp_path / "none")})
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InvalidConfiguration, match="is empty"):
        read_password("NESA_PASSWORD", {"NESA_PASSWORD_FILE": str(tmp_path / "empty")})


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_password_file_that_everybody_can_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, is_told: bool
) -> None:
    path = tmp_path / "password"
    path.write_text("secret\n")
    path.chmod(mode)
    assert read_password_file(path) == "secret"
    out, err = capsys.readouterr()
    assert (out, f"can read {path}; chmod 600" in err) == ("", is_told)
    assert "secret" not in err
