"""A model under its developer's key, published encrypted: operators open permuted weights only."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nesa.cli.compiling import recut
from nesa.client.key_release.encrypting import encryption_under
from nesa.models import reference
from nesa.models.folder import CompiledModel, load, save
from nesa.models.graph import ParameterKind, Table
from nesa.models.index import constants_path
from nesa.models.lowering import runtime_model
from nesa.models.publish import PublishedVersion, publish
from nesa.models.runtime import ShardRunner, run_all
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.user_keys import UserKey
from nesa.privacy.model_secrets import new_secret
from nesa.privacy.shard_files import decrypt_file
from nesa.protocol.digests import bytes_root
from nesa.protocol.ids import Digest

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def plain() -> CompiledModel:
    return recut(load(MODELS / "digits-cnn"), 2)


@pytest.fixture(scope="module")
def held(plain: CompiledModel) -> UserKey:
    """Of a known seed: one key of 24 leaves four channels in their order."""
    key = EquivariantKey(bytes(range(32)), bytes(plain.root))
    return replace(UserKey.generate(plain), key=key)


def test_the_developers_key_is_all_a_client_needs_and_no_operator_has_it(
    plain: CompiledModel, held: UserKey, tmp_path: Path
) -> None:
    """What an operator opens with the key of its shard runs, in the frame of the other key."""
    secret = new_secret()
    made = transformed_model(plain, held)
    save(made, tmp_path / "model")
    cipher = encryption_under(secret, "https://keys.example.org")
    store = tmp_path / "store"
    location = publish(tmp_path / "model", store, "https://models.example.org", cipher)

    def fetch(digest: Digest) -> bytes:
        return (store / digest.hex()).read_bytes()

    published = PublishedVersion.fetch(location, fetch)
    runners = []
    for shard, facts in enumerate(made.shards):
        opened = published.unlocked(partial(decrypt_file, secret.shard_key(made.root, shard)))
        table = opened.definition(shard)
        runners.append(ShardRunner(runtime_model(table, table.shards[shard]), facts, is_own=True))
        constants = opened.file(constants_path(shard))
        assert constants != plain.files[constants_path(shard)]
    in_the_clear = {bytes_root(data).hex() for data in plain.files.values()}
    assert not in_the_clear & {path.name for path in store.iterdir()}
    for row in plain.test_rows().inputs[:5]:
        sent = made.input_edge.encode(held.encode_input(row.astype(np.int64)))
        (answer,) = run_all(runners, (sent,))
        (expected,) = reference.run(plain.table, (plain.input_edge.encode(row),))
        decoded = held.decode_output(made.output_edge.decode(answer))
        assert np.array_equal(decoded, plain.output_edge.decode(expected))


def test_an_operators_weights_are_those_of_the_plain_model_in_another_order(
    plain: CompiledModel, held: UserKey
) -> None:
    """The limit: what an order leaves, such as the sorted weights of a layer, is the same."""
    made = transformed_model(plain, held)
    moved = 0
    for one, other in zip(weights(plain.table), weights(made.table), strict=True):
        moved += one.tobytes() != other.tobytes()
        assert np.array_equal(np.sort(one), np.sort(other))
    assert moved == len(weights(plain.table))


def weights(table: Table) -> list[np.ndarray]:
    return [
        np.frombuffer(parameter.data, parameter.kind.dtype)
        for row in table.rows
        for parameter in row.parameters
        if parameter.kind is ParameterKind.WEIGHTS
    ]
