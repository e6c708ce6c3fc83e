"""Inputs come from csv, json or the command line itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa.cli.features import MAX_FILE_BYTES, Given, read_features
from nesa.protocol.errors import InvalidInput


def written(folder: Path, name: str, content: str) -> str:
    path = folder / name
    path.write_text(content)
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "numbers"),
    [
        ("row.csv", "1.5,2,-3\n", [1.5, 2.0, -3.0]),
        ("headed.csv", "age,mass,size\n1.5,2,-3\n", [1.5, 2.0, -3.0]),
        ("from_a_spreadsheet.csv", "\ufeff1.5,2,-3\n", [1.5, 2.0, -3.0]),
        ("flat.json", "[1.5, 2, -3]", [1.5, 2, -3]),
        ("keyed.json", '{"features": [1.5, 2, -3]}', [1.5, 2, -3]),
        ("nested.json", "[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
    ],
)
def test_a_file_gives_its_numbers(tmp_path: Path, name: str, content: str, numbers: list) -> None:
    assert read_features(written(tmp_path, name, content)).numbers == numbers


FEATURES = ["mean radius", "mean area", "age"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("headed.csv", "age, Mean  Radius ,mean area\n3,1,2\n"),
        ("named.json", '{"age": 3, "mean radius": 1, "mean area": 2}'),
        ("plain.csv", "1,2,3\n"),
    ],
)
def test_named_numbers_may_stand_in_any_order(tmp_path: Path, name: str, content: str) -> None:
    assert read_features(written(tmp_path, name, content)).ordered(FEATURES) == [1, 2, 3]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("mean radius", "mean area", "height"), "no feature 'height'"),
        (("mean radius", "mean area"), "no number for 'age'"),
        (("mean radius", "age", "mean area", "age"), "no feature 'age'"),
        (("a", "b", "c", "d", "e"), "'a', 'b', 'c' and 2 more"),
    ],
    ids=["unknown", "missing", "twice", "many"],
)
def test_names_that_are_not_the_models_are_refused(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Given([1.0] * len(names), names).ordered(FEATURES)


def test_names_that_two_features_share_are_not_guessed() -> None:
    with pytest.raises(InvalidInput, match="share a name"):
        Given([1.0, 2.0], ("a", "A")).ordered(["a", "A"])


def test_a_file_that_is_no_text_is_told_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "row.npz"
    np.savez(path, features=np.ones(3))
    with pytest.raises(InvalidInput, match="is no text; an input is a csv file"):
        read_features(str(path))


def test_numbers_may_stand_in_the_command() -> None:
    assert read_features("[1.5, 2,-3]").numbers == [1.5, 2.0, -3.0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.csv", "a,b\nc,d\n"),
        ("rows.csv", "1,2\n3,4\n"),
        ("empty.csv", ""),
        ("broken.json", "[1, 2"),
        ("nan.json", "[NaN]"),
        ("number.json", "1"),
        ("text.json", '"1,2"'),
        ("heading.csv", "a,b,c\n1,2\n"),
        ("infinite.json", "[-Infinity]"),
        ("long.json", " " * (MAX_FILE_BYTES + 1)),
    ],
)
def test_what_is_no_row_of_numbers_is_refused(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(InvalidInput):
        read_features(written(tmp_path, name, content))


def test_a_list_may_be_longer_than_the_name_of_a_file() -> None:
    assert read_features(",".join(["17.990000"] * 512)).numbers == [17.99] * 512


@pytest.mark.parametrize("text", ["nowhere.csv", "one,two", ""])
def test_what_is_neither_file_nor_numbers_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_features(text)
