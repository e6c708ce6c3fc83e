"""An encryption key is replaced on disk: at every moment what was sealed to either one opens."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from nesa.privacy import key_rotation
from nesa.privacy.key_rotation import (
    MOST_FORMER_KEYS,
    forget_key,
    former_key_path,
    former_key_paths,
    load_former_keys,
    replace_key,
)
from nesa.privacy.keys import generate_key, load_key, public_bytes, save_key
from nesa.protocol.errors import InvalidConfiguration

QUICK = 2**10
PASSWORD = "a password"
OLD, NEW = generate_key(), generate_key()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_key(tmp_path / "encryption.json", OLD, PASSWORD, QUICK)
    return tmp_path / "encryption.json"


def stored(path: Path) -> list[bytes]:
    """Public keys at `path` and beside it."""
    keys = [load_key(path, PASSWORD), *load_former_keys(path, PASSWORD)]
    return [public_bytes(key) for key in keys]


def test_the_old_key_lies_beside_the_new_one(path: Path) -> None:
    replace_key(path, NEW, PASSWORD)
    assert stored(path) == [public_bytes(NEW), public_bytes(OLD)]
    (kept,) = former_key_paths(path)
    assert kept == former_key_path(path, public_bytes(OLD))
    for one in (path, kept):
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
        assert f'"n": {QUICK}' in one.read_text(), "it is as hard to open as the one before"
    assert len(list(path.parent.iterdir())) == 2


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["save_key", "_copy", "settle"])
@pytest.mark.parametrize("done", [False, True])
def test_a_kill_at_any_step_loses_no_key(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, done: bool
) -> None:
    whole = getattr(key_rotation, step)

    def killed(*arguments: object) -> None:
        if done:
            whole(*arguments)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(key_rotation, step, killed)
        replace_key(path, NEW, PASSWORD)
    assert public_bytes(OLD) in stored(path)
    replace_key(path, third := generate_key(), PASSWORD)
    assert stored(path)[0] == public_bytes(third)
    assert public_bytes(OLD) in stored(path)


def test_a_wrong_password_replaces_nothing(path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="wrong password"):
        replace_key(path, NEW, "another password")
    assert stored(path) == [public_bytes(OLD)]
    assert len(list(path.parent.iterdir())) == 1


def test_former_keys_are_bounded(path: Path) -> None:
    for _ in range(MOST_FORMER_KEYS):
        replace_key(path, generate_key(), PASSWORD)
    before = stored(path)
    assert len(before) == 1 + MOST_FORMER_KEYS
    with pytest.raises(InvalidConfiguration, match="8 former encryption keys are still needed"):
        replace_key(path, NEW, PASSWORD)
    assert stored(path) == before
    assert forget_key(path, public_bytes(OLD))
    replace_key(path, NEW, PASSWORD)
    assert stored(path)[0] == public_bytes(NEW)


def test_a_forgotten_key_is_overwritten(path: Path) -> None:
    replace_key(path, NEW, PASSWORD)
    (kept,) = former_key_paths(path)
    witness = path.with_name("witness")
    witness.hardlink_to(kept)
    before = kept.read_bytes()
    assert forget_key(path, public_bytes(OLD))
    assert len(witness.read_bytes()) == len(before)
    assert witness.read_bytes() != before
    assert stored(path) == [public_bytes(NEW)]
    assert not forget_key(path, public_bytes(OLD)), "it is forgotten already"
    assert not forget_key(path, public_bytes(NEW)), "the key in use stays"
    assert stored(path) == [public_bytes(NEW)]
