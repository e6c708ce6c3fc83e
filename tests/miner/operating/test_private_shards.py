"""A private version from its developer's commands to the seat of an operator, and nobody else's."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nesa.chain.anvil import free_port
from nesa.chain.deployment import Network
from nesa.chain.keystore import create_keystore
from nesa.cli.compiling import recut
from nesa.cli.main import main as nesa
from nesa.models.folder import CompiledModel, load, save
from nesa.models.index import decode_index
from nesa.models.publish import index_digest
from nesa.privacy.model_secrets import new_secret, save_model_secret
from nesa.protocol.errors import IntegrityError, NotEntitled
from nesa.protocol.ids import VersionId
from nesa_miner.shard_keys import NO_KEYS, KeptShardKeys
from nesa_miner.shards import open_library
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.network import HOLDER, MODEL, LocalNetwork

Capture = pytest.CaptureFixture[str]
PASSWORD = "developer's own"


@dataclass(frozen=True)
class PrivateNetwork:
    """A network with a private version, and where its developer keeps things."""

    network: LocalNetwork
    folder: Path
    model: CompiledModel
    store: Path
    location: str
    options: tuple[str, ...]
    port: int

    @property
    def version(self) -> str:
        return f"0x{self.network.version_id.hex()}"

    def seat_of(self, miner: OwnedMiner) -> OwnedMiner:
        """The miner, which registers in the private version."""
        return replace(miner, network=self.network)

    def allow(self, *miners: OwnedMiner) -> None:
        operators = self.folder / "operators.txt"
        operators.write_text("".join(f"{miner.owner.address}\n" for miner in miners))
        assert nesa(["model", "allow", self.version, str(operators), *self.options]) == 0

    @contextlib.contextmanager
    def releasing(self) -> Iterator[subprocess.Popen[str]]:
        """The developer's service as a process of its own."""
        words = ["model", "release-keys", self.version, "--secret", str(self.folder / "secret")]
        words += ["--port", str(self.port), *self.options, "--json"]
        command = [sys.executable, "-m", "nesa.cli.main", *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            said = "".join(iter(process.stdout.readline, "}\n"))
            assert json.loads(said + "}")["url"] == f"http://127.0.0.1:{self.port}"
            yield process
        finally:
            process.terminate()
            process.communicate()
        assert process.returncode == 130


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the network without its circuits."""
    folder = tmp_path_factory.mktemp("compiled")
    save(recut(load(MODEL), 2), folder)
    return folder


@pytest.fixture
def private(
    network: LocalNetwork,
    compiled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> PrivateNetwork:
    """The model registered by another developer, its weights hidden."""
    monkeypatch.setenv("NESA_SECRET_PASSWORD", PASSWORD)
    folder, store, port = tmp_path / "developer", tmp_path / "private-store", free_port()
    create_keystore(folder / "key.json", PASSWORD, bytes(HOLDER.key), cost=2**10)
    save_model_secret(folder / "secret", new_secret(), PASSWORD, 2**10)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    description = Network(rpc_url=network.anvil.url, chain_id=31337, contracts=network.deployment)
    description.write(folder / "network.json")
    options = (
        *("--network", str(folder / "network.json"), "--keystore", str(folder / "key.json")),
        *("--password-file", str(folder / "password")),
    )
    words = ["model", "register", str(compiled), "--price", "0.05", "--store", str(store)]
    words += ["--private", "--secret", str(folder / "secret")]
    words += ["--release-url", f"http://127.0.0.1:{port}", *options, "--json"]
    assert nesa(words) == 0
    said = json.loads(capsys.readouterr().out)
    version = replace(network, version_id=VersionId(bytes.fromhex(said["version"][2:])))
    return PrivateNetwork(version, folder, load(compiled), store, said["location"], options, port)


def require_published_encrypted(private: PrivateNetwork) -> None:
    """Nothing that belongs to a shard lies in the store in the clear."""
    name = index_digest(private.location).hex()
    index = decode_index((private.store / name).read_bytes())
    assert index.private is not None
    shards = {path for path in private.model.files if path != "test.npz"}
    assert set(index.private.files) == shards
    published = b"".join(path.read_bytes() for path in private.store.iterdir())
    for path in shards:
        assert private.model.files[path][:64] not in published
    assert private.model.files["test.npz"] in published


def test_a_listed_operator_is_seated_with_the_key_of_its_shard(
    private: PrivateNetwork, miner: OwnedMiner, capsys: Capture
) -> None:
    """Step by step as an operator meets it: not listed, nobody answers, released, kept, refused."""
    require_published_encrypted(private)
    miner.pay()
    seat = private.seat_of(miner)
    assert seat.register() == 1
    assert f"admit {miner.owner.address}" in capsys.readouterr().err
    private.allow(miner)
    assert seat.register() == 1
    assert "does not answer" in capsys.readouterr().err
    assert miner.network.read("vault", "ledger", miner.owner.address).stake == 0
    with private.releasing():
        assert seat.register() == 0
        assert seat.register(1) == 1
    files = [path for path in miner.folder.rglob("*") if path.is_file()]
    assert [path.parent.name for path in files if path.suffix == ".key"] == ["shard_keys"]
    held = b"".join(path.read_bytes() for path in files)
    for path, data in private.model.files.items():
        assert path == "test.npz" or data[:64] not in held
    assert seat.register() == 0, "the key is kept, nobody need answer"
    kept = next(path for path in files if path.suffix == ".key")
    *head, last = kept.read_bytes()
    kept.write_bytes(bytes([*head, last ^ 1]))
    capsys.readouterr()
    assert seat.register() == 1
    assert "stored under another key, or changed" in capsys.readouterr().err


async def test_without_its_key_no_shard_opens(
    private: PrivateNetwork, miner: OwnedMiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_id = private.network.version_id
    miner.change(stores=(str(private.store),))
    async with private.network.connect() as connection:
        settings, folder = miner.settings, miner.folder
        watching = open_library(folder, settings, connection, NO_KEYS)
        assert (await watching.outline(version_id)).shards == private.model.table.shards
        with pytest.raises(NotEntitled, match="for its operators only"):
            await watching.runner(version_id, 0)
        kept = KeptShardKeys(folder / "shard_keys", miner.identity.encryption)
        kept.write(version_id, 0, os.urandom(32))
        guessing = open_library(folder, settings, connection, kept)
        with pytest.raises(IntegrityError, match="does not open with the key"):
            await guessing.runner(version_id, 0)
        with pytest.raises(NotEntitled, match="the key of shard 1 of .* is not here"):
            await guessing.witness(version_id, 1, ())


def test_what_is_private_must_never_have_been_public(
    private: PrivateNetwork, compiled: Path, capsys: Capture
) -> None:
    words = ["--price", "0.05", "--private", "--release-url", "http://127.0.0.1:1"]
    words += ["--secret", str(private.folder / "other"), *private.options]
    clear = str(private.folder / "clear")
    model, register = str(compiled), ["model", "register"]
    assert nesa([*register, str(MODEL), "--store", clear, *words]) == 1
    assert "has circuits, whose proving keys hold weights" in capsys.readouterr().err
    public = ["--price", "0.05", "--store", clear, *private.options]
    assert nesa([*register, model, *public]) == 1, "and yet it is published now"
    assert "registered before and seats whom the contract" in capsys.readouterr().err
    assert nesa([*register, model, "--store", clear, *words]) == 1
    assert "in the clear" in capsys.readouterr().err
    for left_out in ("--secret", "--release-url"):
        fewer = words[: words.index(left_out)] + words[words.index(left_out) + 2 :]
        assert nesa([*register, model, "--store", clear, *fewer]) == 1
        assert "--private needs --secret FILE" in capsys.readouterr().err
    assert nesa([*register, model, *public, "--secret", "x"]) == 1
    assert "go with --private" in capsys.readouterr().err
