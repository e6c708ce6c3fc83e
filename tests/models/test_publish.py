"""A published model is read a shard at a time, and only as it was registered."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nesa.models import folder as model_folder
from nesa.models.answers import answers_path
from nesa.models.folder import INDEX, load
from nesa.models.index import KeyRelease, constants_path
from nesa.models.proving.reference_string import development_only
from nesa.models.publish import (
    ARTEFACTS,
    Encryption,
    PublishedVersion,
    artefact_path,
    base_of,
    index_digest,
    publish,
)
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import (
    ExhaustedResource,
    IntegrityError,
    InvalidConfiguration,
    InvalidModel,
    NotEntitled,
)
from nesa.protocol.ids import ZERO_DIGEST, Digest

MODEL = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
BASE = "https://models.example.org/store"


class Shelf:
    """Reads a store and remembers what was asked for."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.fetched: list[Digest] = []

    def fetch(self, digest: Digest) -> bytes:
        self.fetched.append(digest)
        data = (self.store / digest.hex()).read_bytes()
        assert bytes_root(data) == digest
        return data


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The model's folder, free to be damaged."""
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def published(store: Path) -> tuple[PublishedVersion, Shelf]:
    shelf = Shelf(store)
    return PublishedVersion.fetch(publish(MODEL, store, BASE), shelf.fetch), shelf


def test_every_file_lies_under_its_digest(tmp_path: Path) -> None:
    location = publish(MODEL, tmp_path, f"{BASE}/")
    assert location.startswith(f"{BASE}/")
    assert index_digest(location).hex() in {path.name for path in tmp_path.iterdir()}
    assert base_of(location) == BASE
    for path in tmp_path.iterdir():
        assert bytes_root(path.read_bytes()).hex() == path.name
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert all(
        path.read_bytes() in contents for path in (MODEL / "shards").iterdir() if path.is_file()
    )


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    location = publish(MODEL, tmp_path, BASE)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert publish(MODEL, tmp_path, BASE) == location
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_damaged_file_of_the_store_is_mended(tmp_path: Path) -> None:
    location = publish(MODEL, tmp_path, BASE)
    target = tmp_path / index_digest(location).hex()
    target.write_bytes(b"bit rot")
    publish(MODEL, tmp_path, BASE)
    assert bytes_root(target.read_bytes()) == index_digest(location)


def test_a_published_folder_can_be_put_together_again(tmp_path: Path) -> None:
    version, shelf = published(tmp_path / "store")
    target = tmp_path / "again"
    for path in version.index.files:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(version.file(path))
    (target / INDEX).write_bytes(shelf.fetch(shelf.fetched[0]))
    assert load(target).root == load(MODEL).root


def test_a_shard_is_read_without_the_weights_of_the_others(tmp_path: Path) -> None:
    version, shelf = published(tmp_path)
    model = load(MODEL)
    answers = version.known_answers(1)
    circuit = version.circuit(1, model.shards[1], development_only())
    source, runtime = version.verifier(1)
    assert answers == model.known_answers(1)
    assert circuit.digest == model.shards[1].circuit_digest
    assert circuit.digest.hex() in source
    assert runtime
    version.definition(1)
    paths = (constants_path(0), answers_path(0), "shards/0.onnx", "shards/0.circuit.onnx")
    others = {bytes_root((MODEL / path).read_bytes()) for path in paths}
    assert not others & set(shelf.fetched)
    assert bytes_root((MODEL / constants_path(1)).read_bytes()) in shelf.fetched


def test_the_registered_index_is_accepted_and_another_refused(tmp_path: Path) -> None:
    version, _ = published(tmp_path)
    model = load(MODEL)
    version.require_registered(model.operators_root, model.metadata_digest)
    with pytest.raises(IntegrityError, match="not that of this version"):
        version.require_registered(ZERO_DIGEST, model.metadata_digest)
    with pytest.raises(IntegrityError, match="not that of this version"):
        version.require_registered(model.operators_root, ZERO_DIGEST)


@pytest.mark.parametrize("kind", ARTEFACTS)
def test_a_provable_shard_without_a_file_is_refused(copy: Path, tmp_path: Path, kind: str) -> None:
    (copy / artefact_path(0, kind)).unlink()
    with pytest.raises(InvalidModel, match=kind):
        publish(copy, tmp_path / "store", BASE)


@pytest.mark.parametrize(
    ("path", "damage"),
    [
        ("shards/0.onnx", lambda data: data + b"\0"),
        ("shards/0.vk", lambda data: data[1:] + b"\1"),
        ("shards/1.verifier.hex", lambda data: data.replace(b"f", b"e", 1)),
        (answers_path(0), lambda data: data + b" "),
    ],
)
def test_a_tampered_folder_is_refused(
    copy: Path, tmp_path: Path, path: str, damage: Callable[[bytes], bytes]
) -> None:
    target = copy / path
    target.write_bytes(damage(target.read_bytes()))
    with pytest.raises((IntegrityError, InvalidModel)):
        publish(copy, tmp_path / "store", BASE)
    assert not (tmp_path / "store").exists()


def test_a_full_disk_leaves_only_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(range(3))

    def fills_up(source: str, target: Path) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        Path(source).rename(target)

    monkeypatch.setattr(os, "replace", fills_up)
    with pytest.raises(ExhaustedResource, match="free some space"):
        publish(MODEL, tmp_path, BASE)
    for path in tmp_path.iterdir():
        assert bytes_root(path.read_bytes()).hex() == path.name


def test_a_store_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidConfiguration, match="cannot write"):
        publish(MODEL, tmp_path / "file" / "store", BASE)


def test_a_location_longer_than_the_registry_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="shorter base URL"):
        publish(MODEL, tmp_path, "https://" + "m" * 250)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("location", ["", "https://m.example.org/", "ipfs://Qm/index", "a" * 63])
def test_a_location_without_a_digest_is_refused(location: str) -> None:
    with pytest.raises(InvalidModel, match="does not end in the digest"):
        PublishedVersion.fetch(location, lambda _: b"")


def test_an_index_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"model\.json"):
        PublishedVersion.fetch(f"{BASE}/{'ab' * 32}", lambda _: b"{}")


def test_what_was_not_published_is_named(tmp_path: Path) -> None:
    version, _ = published(tmp_path)
    with pytest.raises(InvalidModel, match=r"without shards/9\.vk"):
        version.file("shards/9.vk")
    with pytest.raises(InvalidModel, match=r"without known_answers/9\.json"):
        version.known_answers(9)


def test_an_index_that_names_its_artefacts_is_published_as_it_is(
    copy: Path, tmp_path: Path
) -> None:
    location = publish(copy, tmp_path / "first", BASE)
    index = (tmp_path / "first" / index_digest(location).hex()).read_bytes()
    (copy / INDEX).write_bytes(index)
    assert artefact_path(0, "vk") in json.loads(index)["files"]
    assert publish(copy, tmp_path / "second", BASE) == location
    assert model_folder.load(copy).root == load(MODEL).root


def private(folder: Path, store: Path) -> tuple[PublishedVersion, Shelf]:
    """Published under a cipher that turns bytes around, which anybody could undo."""
    release = KeyRelease(
        url="https://keys.example.org", signer=f"0x{'11' * 20}", encryption_key=f"0x{'22' * 32}"
    )
    cipher = Encryption(release, lambda root, shard, digest, data: data[::-1])
    shelf = Shelf(store)
    return PublishedVersion.fetch(publish(folder, store, BASE, cipher), shelf.fetch), shelf


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The model without circuits."""
    model = load(MODEL)
    folder = tmp_path / "bare"
    none = [(ZERO_DIGEST, ZERO_DIGEST)] * len(model.shards)
    model_folder.save(model_folder.with_circuits(model, none, model.card), folder)
    return folder


def test_what_belongs_to_a_shard_is_published_encrypted(bare: Path, tmp_path: Path) -> None:
    version, _ = private(bare, tmp_path / "store")
    model = load(bare)
    assert version.index.private is not None
    for path, data in model.files.items():
        is_public = bytes_root(data).hex() in {one.name for one in (tmp_path / "store").iterdir()}
        assert is_public == (path not in version.index.private.files) == (path == "test.npz")
    assert version.file("test.npz") == model.files["test.npz"]
    assert version.outline().operators_root == model.operators_root
    for read in (version.known_answers, version.definition):
        with pytest.raises(NotEntitled, match="for the operators of its shard"):
            read(0)
    opened = version.unlocked(lambda digest, data: data[::-1])
    assert opened.known_answers(1) == model.known_answers(1)
    assert opened.definition(1).operators_root == model.operators_root


def test_a_ciphertext_of_something_else_is_refused(bare: Path, tmp_path: Path) -> None:
    """A developer may encrypt what it likes; what counts is the digest that it stated."""
    version, _ = private(bare, tmp_path / "store")
    for wrong in (lambda digest, data: data, lambda digest, data: b""):
        with pytest.raises(IntegrityError, match="does not match its digest"):
            version.unlocked(wrong).definition(0)


def test_publishing_a_private_model_again_changes_nothing(bare: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first, _ = private(bare, store)
    before = {path: path.stat().st_mtime_ns for path in store.iterdir()}
    again, _ = private(bare, store)
    assert again.index == first.index
    assert {path: path.stat().st_mtime_ns for path in store.iterdir()} == before
