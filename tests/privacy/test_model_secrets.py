"""Every key of a private model derives from one secret, which rests encrypted."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from nesa.privacy.keys import public_bytes
from nesa.privacy.model_secrets import (
    ModelSecret,
    load_model_secret,
    new_secret,
    save_model_secret,
)
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import VersionRoot

SECRET = ModelSecret(bytes(range(32)))
ROOT, OTHER = VersionRoot(b"\1" * 32), VersionRoot(b"\2" * 32)
LIGHT = 2**10


def test_every_shard_of_every_version_has_a_key_of_its_own() -> None:
    keys = [one.shard_key(root, shard) for one in (SECRET, new_secret())
            for root in (ROOT, OTHER) for shard in range(8)]  # fmt: skip
    keys += [public_bytes(SECRET.encryption), SECRET.encryption.private_bytes_raw()]
    keys += [SECRET.signer.to_bytes(), SECRET.secret]
    assert len(set(keys)) == len(keys)
    assert SECRET.shard_key(ROOT, 3) == ModelSecret(bytes(range(32))).shard_key(ROOT, 3)


def test_a_secret_rests_encrypted_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "models.secret"
    save_model_secret(path, SECRET, "a password", LIGHT)
    assert load_model_secret(path, "a password") == SECRET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET.secret.hex() not in path.read_text()
    assert SECRET.secret.hex() not in repr(SECRET)
    assert repr(SECRET.secret) not in repr(SECRET)


def test_what_does_not_open_is_said(tmp_path: Path) -> None:
    path = tmp_path / "models.secret"
    save_model_secret(path, SECRET, "a password", LIGHT)
    with pytest.raises(InvalidConfiguration, match="wrong password"):
        load_model_secret(path, "another")
    with pytest.raises(InvalidConfiguration, match="cannot write"):
        save_model_secret(path, SECRET, "a password", LIGHT)
    with pytest.raises(InvalidConfiguration, match="empty password"):
        save_model_secret(tmp_path / "other", SECRET, "", LIGHT)
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"release": "0x" + "11" * 20}))
    with pytest.raises(InvalidConfiguration, match="another secret than it says"):
        load_model_secret(path, "a password")
    path.write_text(json.dumps(document | {"kind": "nesa-x25519"}))
    with pytest.raises(InvalidConfiguration, match="not a file of a model secret"):
        load_model_secret(path, "a password")
