"""A private model under its developer's key runs: no miner holds more of it than its shard, nor
that on its disk, nor any weights in the order of the plain model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from nesa import Client, Model
from nesa.chain.anvil import free_port
from nesa.cli.compiling import recut
from nesa.cli.demo.cast import Question
from nesa.client.modes import Equivariant
from nesa.devnet.models import PublishedModel
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator, Seat
from nesa.models.folder import CompiledModel, load, save
from nesa.models.index import constants_path
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.user_keys import UserKey
from nesa.privacy.model_secrets import (
    ModelSecret,
    load_model_secret,
    new_secret,
    save_model_secret,
)
from nesa.protocol.ids import VersionId
from tests.end_to_end.insides import memory_areas
from tests.end_to_end.processes import Observer, until
from tests.end_to_end.test_queries import is_right

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.deep]

SOURCE = Path(__file__).parents[2] / "models" / "digits-cnn"
PASSWORD = "developer's own"
ENVIRONMENT = {**os.environ, "NESA_SECRET_PASSWORD": PASSWORD}
RUN = 32
"""Constants in a row that count as weights that were found."""


@dataclass(frozen=True)
class PrivateModel:
    """What its developer knows of it."""

    published: PublishedModel
    secret: ModelSecret
    plain: CompiledModel
    held: UserKey

    def needles(self, shard: int) -> list[bytes]:
        """Runs of a shard's weights as they are kept anywhere: bytes, and ONNX Runtime's floats;
        and the key of the shard as bytes and as text."""
        key = self.secret.shard_key(self.published.model.root, shard)
        return [key, key.hex().encode(), *self.weights(self.published.model, shard)]

    def weights(self, model: CompiledModel, shard: int) -> list[bytes]:
        """Runs of the weights of a shard of a model."""
        found, place = list[bytes](), model.table.shards[shard]
        for row in model.table.rows[place.first : place.end]:
            for parameter in row.parameters:
                values = np.frombuffer(parameter.data, parameter.kind.dtype)
                if values.size < 2 * RUN:
                    continue
                middle = values[values.size // 2 :][:RUN]
                assert len(set(middle.tolist())) > 8, "a run of weights, not of zeros"
                found += [middle.tobytes(), middle.astype(np.float32).tobytes()]
        return found


def nesa(words: list[str]) -> dict[str, str]:
    """What a command of the developer says."""
    command = [sys.executable, "-m", "nesa.cli.main", *words, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert ended.returncode == 0, ended.stderr
    said: dict[str, str] = json.loads(ended.stdout)
    return said


@contextlib.contextmanager
def answering(command: list[str]) -> Iterator[None]:
    """The developer's service, from its first word to its end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.communicate()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def private(devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> PrivateModel:
    """Registered by its developer, all miners listed, its keys released while miners register."""
    folder, port = tmp_path_factory.mktemp("developer"), free_port()
    plain = recut(load(SOURCE), 2)
    held = UserKey.generate(plain)
    save(transformed_model(plain, held), folder / "model")
    secret = folder / "secret"
    save_model_secret(secret, new_secret(), PASSWORD, 2**10)
    files = devnet.foundation.people.developer.files
    options = ["--network", str(devnet.layout.network), "--keystore", str(files.keystore)]
    options += ["--password-file", str(files.password_file)]
    words = ["model", "register", str(folder / "model"), "--price", "0.05", "--private"]
    words += ["--store", str(folder / "store"), "--secret", str(secret)]
    words += ["--release-url", f"http://127.0.0.1:{port}", *options]
    version = (await asyncio.to_thread(nesa, words))["version"]
    operators = folder / "operators.txt"
    operators.write_text("".join(f"{miner.owner}\n" for miner in devnet.miners))
    await asyncio.to_thread(nesa, ["model", "allow", version, str(operators), *options])
    release = [sys.executable, "-m", "nesa.cli.main", "model", "release-keys", version]
    release += ["--secret", str(secret), "--port", str(port), *options, "--json"]
    model = load(folder / "model")
    published = PublishedModel(model, folder / "model", VersionId(bytes.fromhex(version[2:])))
    with answering(release):
        for number, miner in enumerate(devnet.miners):
            await devnet.founder.register(miner, Seat(published, number % 2))
    return PrivateModel(published, load_model_secret(secret, PASSWORD), plain, held)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def served(devnet: Devnet, private: PrivateModel) -> PrivateModel:
    """Every miner has loaded its shard of it."""
    version = private.published.version_id.hex()

    def is_ready(miner: Operator) -> bool:
        log = devnet.layout.log(miner.name).read_text("utf-8", "replace")
        return any("shard ready" in line and version in line for line in log.splitlines())

    await until(lambda: all(map(is_ready, devnet.miners)))
    return private


async def test_a_private_model_answers_as_the_reference_does(
    client: Client, served: PrivateModel
) -> None:
    model: Model = await client.model(f"0x{served.published.version_id.hex()}")
    question = Question.from_row(replace(served.published, model=served.plain), 7)
    mode = Equivariant(served.held)
    assert is_right(await client.ask(model, question.features, privacy=mode), question)


async def test_no_miner_holds_more_than_its_shard(
    devnet: Devnet, served: PrivateModel, observer: Observer
) -> None:
    """R14 and R18: whatever a miner's disk and memory hold of the model, it is its own shard's; and
    its own weights lie nowhere on its disk in the clear."""
    needles = [served.needles(shard) for shard in (0, 1)]
    for shard, wanted in enumerate(needles):
        source = (served.published.path / constants_path(shard)).read_bytes()
        assert any(needle in source for needle in wanted), "what is looked for is in the model"
    plain = [needle for shard in (0, 1) for needle in served.weights(served.plain, shard)]
    for number, miner in enumerate(devnet.miners):
        own, others = needles[number % 2], needles[1 - number % 2]
        for name, data in disk_of(miner):
            assert not found(data, own + others + plain), (miner.name, name)
        held = list(memory_areas(observer.pid(miner)))
        assert any(found(data, own) for data in held), "its own weights are seen in its memory"
        assert not any(found(data, others + plain) for data in held), miner.name


def found(data: bytes, needles: list[bytes]) -> int:
    return sum(needle in data for needle in needles)


def disk_of(miner: Operator) -> Iterator[tuple[str, bytes]]:
    """Every file of a miner."""
    for path in miner.folder.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()
