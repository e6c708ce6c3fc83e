"""The cache of proving keys, with a set-up that takes no time."""

from __future__ import annotations

import os
import shutil
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from nesa.models.proving import keys
from nesa.models.proving.circuits import COMPILED_FILE, PROVING_KEY_FILE, VERIFYING_KEY_FILE
from nesa.models.proving.keys import provide_keys
from nesa.protocol.errors import ExhaustedResource, IntegrityError, InvalidConfiguration
from tests.models.proving.shards import provable

CIRCUIT = provable("breast-cancer-mlp", 1).circuit
Usage = namedtuple("Usage", "total used free")


class SetUp:
    """Writes small files in place of keys, and counts how often."""

    def __init__(self, verifying_key: bytes = CIRCUIT.verifying_key) -> None:
        self.verifying_key = verifying_key
        self.times = 0
        self.meanwhile: Callable[[], object] = lambda: None

    async def compile_into(self, folder: Path, *_) -> None:
        (folder / COMPILED_FILE).write_bytes(b"compiled")

    async def set_up_into(self, folder: Path, *_) -> None:
        self.times += 1
        (folder / PROVING_KEY_FILE).write_bytes(b"a proving key")
        (folder / VERIFYING_KEY_FILE).write_bytes(self.verifying_key)
        self.meanwhile()


@pytest.fixture
def set_up(monkeypatch) -> SetUp:
    fake = SetUp()
    install(fake, monkeypatch)
    return fake


def install(fake: SetUp, monkeypatch) -> None:
    monkeypatch.setattr(keys, "compile_into", fake.compile_into)
    monkeypatch.setattr(keys, "set_up_into", fake.set_up_into)


def home(cache: Path) -> Path:
    return cache / CIRCUIT.digest.hex()


async def test_keys_are_made_once(set_up: SetUp, tmp_path: Path):
    first = await provide_keys(CIRCUIT, tmp_path / "cache")
    second = await provide_keys(CIRCUIT, tmp_path / "cache")

    assert first == second
    assert first.proving_key.read_bytes() == b"a proving key"
    assert set_up.times == 1


@pytest.mark.parametrize("name", [PROVING_KEY_FILE, COMPILED_FILE])
@pytest.mark.parametrize("damage", [b"", b"short", b"x proving key", b"a proving key and more"])
async def test_a_damaged_file_is_made_anew(set_up: SetUp, tmp_path: Path, name, damage):
    await provide_keys(CIRCUIT, tmp_path)
    (home(tmp_path) / name).write_bytes(damage)

    found = await provide_keys(CIRCUIT, tmp_path)

    assert set_up.times == 2
    assert found.proving_key.read_bytes() == b"a proving key"


@pytest.mark.parametrize("seal", [b"", b"{}", b"[1]", b'{"proving.key": 1}', b"\xff"])
async def test_a_damaged_seal_means_new_keys(set_up: SetUp, tmp_path: Path, seal: bytes):
    await provide_keys(CIRCUIT, tmp_path)
    (home(tmp_path) / "seal.json").write_bytes(seal)

    await provide_keys(CIRCUIT, tmp_path)

    assert set_up.times == 2


async def test_nothing_but_the_keys_stays_in_the_cache(set_up: SetUp, tmp_path: Path):
    await provide_keys(CIRCUIT, tmp_path)

    assert list(tmp_path.iterdir()) == [home(tmp_path)]


async def test_only_abandoned_working_folders_are_swept(set_up: SetUp, tmp_path: Path):
    long_ago = time.time() - keys.ABANDONED_SECONDS - 60
    for name in ("nesa-proving-old", "nesa-proving-new", "another"):
        (tmp_path / name).mkdir()
    for name in ("nesa-proving-old", "another"):
        os.utime(tmp_path / name, (long_ago, long_ago))

    await provide_keys(CIRCUIT, tmp_path)

    assert not (tmp_path / "nesa-proving-old").exists()
    assert (tmp_path / "nesa-proving-new").exists()
    assert (tmp_path / "another").exists()


async def test_working_folders_are_swept_also_when_the_keys_are_there(
    set_up: SetUp, tmp_path: Path
):
    await provide_keys(CIRCUIT, tmp_path)
    left = tmp_path / "nesa-proving-old"
    left.mkdir()
    os.utime(left, (0, 0))

    await provide_keys(CIRCUIT, tmp_path)

    assert not left.exists()


async def test_keys_that_another_process_made_meanwhile_are_kept(set_up: SetUp, tmp_path: Path):
    await provide_keys(CIRCUIT, tmp_path / "other")
    set_up.meanwhile = lambda: shutil.copytree(home(tmp_path / "other"), home(tmp_path / "own"))

    found = await provide_keys(CIRCUIT, tmp_path / "own")

    assert found.proving_key.read_bytes() == b"a proving key"
    assert list((tmp_path / "own").iterdir()) == [home(tmp_path / "own")]


async def test_another_verifying_key_is_refused_and_nothing_kept(tmp_path: Path, monkeypatch):
    install(SetUp(verifying_key=b"another"), monkeypatch)

    with pytest.raises(IntegrityError, match="does not reproduce"):
        await provide_keys(CIRCUIT, tmp_path)

    assert list(tmp_path.iterdir()) == []


async def test_too_little_space_is_noticed_before_set_up(set_up: SetUp, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**20))

    with pytest.raises(ExhaustedResource, match="1 MiB free"):
        await provide_keys(CIRCUIT, tmp_path)

    assert set_up.times == 0


async def test_a_cache_that_is_a_file_is_a_wrong_setting(set_up: SetUp, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(InvalidConfiguration, match="proving cache"):
        await provide_keys(CIRCUIT, tmp_path / "file")
