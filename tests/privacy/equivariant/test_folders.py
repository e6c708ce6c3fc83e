"""Transformed models as folders, and the key files of their users."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nesa.models.card import ClassifierCard
from nesa.models.folder import CompiledModel, load, save
from nesa.models.reference import run
from nesa.models.verify import check_folder
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.user_keys import UserKey, load_user_key, save_user_key
from nesa.protocol.errors import InvalidConfiguration, InvalidInput

MODELS = Path(__file__).parents[3] / "models"
QUICK = 2**10


@pytest.fixture(scope="module")
def plain() -> CompiledModel:
    return load(MODELS / "breast-cancer-mlp")


@pytest.fixture(scope="module")
def held(plain: CompiledModel) -> UserKey:
    return UserKey.generate(plain)


def asked(model: CompiledModel, held: UserKey, row: np.ndarray) -> np.ndarray:
    """What the holder of a key reads from a transformed model's answer."""
    sent = held.encode_input(row.reshape(model.input_edge.shape))
    (answer,) = run(model.table, [model.input_edge.encode(sent)])
    return held.decode_output(model.output_edge.decode(answer))


def test_a_transformed_folder_is_checked_like_any_other_and_answers_the_same(
    plain: CompiledModel, held: UserKey, tmp_path: Path
) -> None:
    made = transformed_model(plain, held)
    save(made, tmp_path)
    again = check_folder(tmp_path)
    assert again.root == made.root != plain.root
    assert len(again.shards) == len(plain.shards)
    assert not any(any(facts.circuit_digest) for facts in again.shards)
    assert not [name for name in again.files if "circuit" in name]
    for row in plain.test_rows().inputs[:20]:
        shaped = row.reshape(plain.input_edge.shape)
        (expected,) = run(plain.table, [plain.input_edge.encode(shaped)])
        assert plain.output_edge.encode(asked(again, held, row)) == expected


def test_a_transformed_folder_says_nothing_of_the_order(
    plain: CompiledModel, held: UserKey
) -> None:
    made = transformed_model(plain, held)
    assert isinstance(made.card, ClassifierCard)
    assert isinstance(plain.card, ClassifierCard)
    assert {feature.name for feature in made.card.features} == {"encoded input"}
    assert not set(made.card.labels) & set(plain.card.labels)
    assert made.card.equivariance == held.mark
    other = transformed_model(plain, UserKey.generate(plain))
    assert np.array_equal(made.test_rows().inputs, other.test_rows().inputs)
    known = {row.tobytes() for row in plain.test_rows().inputs}
    sorted_known = {np.sort(row).tobytes() for row in plain.test_rows().inputs}
    for row in made.test_rows().inputs:
        assert row.tobytes() not in known
        assert np.sort(row).tobytes() not in sorted_known
    seed = held.key.seed
    assert not [
        name for name, data in made.files.items() if seed in data or seed.hex().encode() in data
    ]


def test_the_same_key_makes_the_same_version_and_a_rotated_one_another(
    plain: CompiledModel, held: UserKey
) -> None:
    """R9: keys change from epoch to epoch."""
    assert transformed_model(plain, held).root == transformed_model(plain, held).root
    rotated = transformed_model(plain, held.rotated())
    assert rotated.root != transformed_model(plain, held).root
    row = plain.test_rows().inputs[0].reshape(plain.input_edge.shape)
    assert not np.array_equal(held.encode_input(row), held.rotated().encode_input(row))


def test_a_key_opens_only_the_model_that_is_under_it(plain: CompiledModel, held: UserKey) -> None:
    made = transformed_model(plain, held)
    held.require_opens(made.name, made.card)
    with pytest.raises(InvalidInput, match=r"of epoch 1 and .* of epoch 0"):
        held.rotated().require_opens(made.name, made.card)
    with pytest.raises(InvalidInput, match="under another key"):
        UserKey.generate(plain).require_opens(made.name, made.card)
    with pytest.raises(InvalidInput, match="under no key"):
        held.require_opens(plain.name, plain.card)
    digits = load(MODELS / "digits-cnn")
    with pytest.raises(InvalidInput, match="another model"):
        UserKey.generate(digits).require_opens(made.name, made.card)
    with pytest.raises(InvalidInput, match="nesa privacy key"):
        transformed_model(digits, held)
    with pytest.raises(InvalidInput, match="under a key already"):
        UserKey.generate(made)


def of_seed(model: CompiledModel, seed: bytes) -> UserKey:
    return replace(UserKey.generate(model), key=EquivariantKey(seed, bytes(model.root)))


def test_a_wrong_key_reads_noise() -> None:
    """R8: of what the right key asked, it reads every label, and a wrong one hardly more than by
    guessing among ten."""
    digits = load(MODELS / "digits-cnn")
    right, wrong = (of_seed(digits, bytes(range(start, start + 32))) for start in (0, 32))
    made, read = transformed_model(digits, right), list[list[np.intp]]()
    for row in digits.test_rows().inputs[:100]:
        shaped = row.reshape(digits.input_edge.shape)
        (plain,) = run(digits.table, [digits.input_edge.encode(shaped)])
        (answer,) = run(made.table, [made.input_edge.encode(right.encode_input(shaped))])
        logits = made.output_edge.decode(answer)
        decoded = [held.decode_output(logits) for held in (right, wrong)]
        read.append([one.argmax() for one in (digits.output_edge.decode(plain), *decoded)])
    labels, by_right, by_wrong = np.array(read).T
    assert np.array_equal(by_right, labels)
    assert np.mean(by_wrong == labels) < 0.25


def test_a_key_comes_back_from_its_file(held: UserKey, tmp_path: Path) -> None:
    path = tmp_path / "ee.json"
    save_user_key(path, held, "a password", QUICK)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert held.key.seed.hex() not in path.read_text()
    assert load_user_key(path, "a password") == held
    assert held.key.seed.hex() not in repr(held)
    assert repr(held.key.seed) not in repr(held)
    with pytest.raises(InvalidConfiguration, match="wrong password"):
        load_user_key(path, "another")
    with pytest.raises(InvalidConfiguration, match="cannot write"):
        save_user_key(path, held, "a password", QUICK)
    with pytest.raises(InvalidConfiguration, match="empty password"):
        save_user_key(tmp_path / "other.json", held, "", QUICK)


@pytest.mark.parametrize("change", ["frames", "card", "epoch"])
def test_a_changed_file_is_refused(held: UserKey, tmp_path: Path, change: str) -> None:
    """Whoever can write the file could otherwise have the client send plain inputs."""
    path = tmp_path / "ee.json"
    save_user_key(path, held, "a password", QUICK)
    document = json.loads(path.read_text())
    match change:
        case "frames":
            document["frames"]["inputs"][0]["places"][0]["conditions"] = 21
        case "card":
            document["card"]["labels"].reverse()
        case _:
            document["epoch"] += 1
    path.write_text(json.dumps(document))
    with pytest.raises(InvalidConfiguration, match="was changed"):
        load_user_key(path, "a password")


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "nesa-x25519"}', '{"kind": 1}'])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ee.json"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration):
        load_user_key(path, "a password")


def test_a_damaged_file_is_refused(held: UserKey, tmp_path: Path) -> None:
    path = tmp_path / "ee.json"
    save_user_key(path, held, "a password", QUICK)
    document = json.loads(path.read_text())
    for name in ("frames", "card", "authenticator", "crypto", "epoch"):
        path.write_text(json.dumps({key: one for key, one in document.items() if key != name}))
        with pytest.raises(InvalidConfiguration, match="damaged"):
            load_user_key(path, "a password")
