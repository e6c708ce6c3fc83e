"""Replaces an encryption key on disk so that what was sealed to the one before still opens.

The key in use stays where it always is. The one that it replaced lies beside it, in a file that is
named by its public key, until whoever owns it knows that nothing sealed to it is open any more.
"""

from __future__ import annotations

import json
import os
from glob import escape
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nesa.privacy.key_files import WORK_FACTOR, settle
from nesa.privacy.keys import load_key, public_bytes, save_key
from nesa.protocol.errors import InvalidConfiguration

MOST_FORMER_KEYS: Final = 8
"""Every one is tried on what the newest does not open."""


def former_key_path(path: Path, public: bytes) -> Path:
    """Where the key with these 32 public bytes lies once another has taken its place at `path`."""
    return path.with_name(f"{path.stem}.{public.hex()}.former.json")


def former_key_paths(path: Path) -> list[Path]:
    """Files of the keys that were at `path` before."""
    return sorted(path.parent.glob(f"{escape(path.stem)}.*.former.json"))


def renamed_former(kept: Path, path: Path, elsewhere: Path) -> Path:
    """Where the file of a key that was at `path` before belongs beside the key at `elsewhere`."""
    return elsewhere.with_name(elsewhere.stem + kept.name.removeprefix(path.stem))


def load_former_keys(path: Path, password: str) -> list[X25519PrivateKey]:
    """The keys that were at `path` before and may still be needed.

    Raises:
        InvalidConfiguration: there are more than `MOST_FORMER_KEYS`, one is damaged, or the
            password is wrong.
    """
    found = former_key_paths(path)
    if len(found) > MOST_FORMER_KEYS:
        raise InvalidConfiguration(
            f"{path.parent} keeps {len(found)} former encryption keys and {MOST_FORMER_KEYS} are "
            "the most; move the oldest elsewhere"
        )
    newest = public_bytes(load_key(path, password)) if found else b""
    keys = [load_key(one, password) for one in found]
    return [key for key in keys if public_bytes(key) != newest]


def replace_key(path: Path, key: X25519PrivateKey, password: str) -> None:
    """Put `key` at `path`, as hard to open as the one that is there, which is kept beside it.

    Killed at any moment it leaves the old key at `path`, or the new one there and the old one
    beside it; it can be run again.

    Raises:
        InvalidConfiguration: the key that is there cannot be opened, a file cannot be written, or
            `MOST_FORMER_KEYS` are kept already.
    """
    before = load_key(path, password)
    kept = former_key_path(path, public_bytes(before))
    others = [one for one in former_key_paths(path) if one != kept]
    if len(others) >= MOST_FORMER_KEYS:
        raise InvalidConfiguration(
            f"{len(others)} former encryption keys are still needed; rotate again when the miner "
            "has forgotten one"
        )
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    draft.unlink(missing_ok=True)
    save_key(draft, key, password, _work_factor(path))
    try:
        _copy(path, kept)
        draft.replace(path)
        settle(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InvalidConfiguration(f"cannot replace the key {path}: {error}") from error


def forget_key(path: Path, public: bytes) -> bool:
    """Overwrite and remove a key that was at `path`; False where it is not kept.

    A file system that copies on write, and a backup, may have it still.

    Raises:
        InvalidConfiguration: the file cannot be written.
    """
    kept = former_key_path(path, public)
    try:
        with kept.open("r+b") as file:
            file.write(os.urandom(kept.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        kept.unlink()
        settle(kept.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InvalidConfiguration(f"cannot remove the key {kept}: {error}") from error
    return True


def _copy(path: Path, kept: Path) -> None:
    """The file of a key under a second name, whole or not at all."""
    draft = kept.with_name(f".{kept.name}.{os.getpid()}.part")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(path.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(kept)


def _work_factor(path: Path) -> int:
    try:
        found = json.loads(path.read_text("utf-8"))["crypto"]["kdfparams"]["n"]
    except (OSError, ValueError, KeyError, TypeError):
        return WORK_FACTOR
    return found if isinstance(found, int) else WORK_FACTOR
