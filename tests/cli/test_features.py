"""Inputs come from csv, json or the command line itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.cli.features import MAX_FILE_BYTES, read_features
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
        ("flat.json", "[1.5, 2, -3]", [1.5, 2, -3]),
        ("nested.json", "[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
    ],
)
def test_a_file_gives_its_numbers(tmp_path: Path, name: str, content: str, numbers: list) -> None:
    assert read_features(written(tmp_path, name, content)) == numbers


def test_numbers_may_stand_in_the_command() -> None:
    assert read_features("[1.5, 2,-3]") == [1.5, 2.0, -3.0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.csv", "a,b\nc,d\n"),
        ("rows.csv", "1,2\n3,4\n"),
        ("empty.csv", ""),
        ("broken.json", "[1, 2"),
        ("nan.json", "[NaN]"),
        ("infinite.json", "[-Infinity]"),
        ("long.json", " " * (MAX_FILE_BYTES + 1)),
    ],
)
def test_what_is_no_row_of_numbers_is_refused(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(InvalidInput):
        read_features(written(tmp_path, name, content))


def test_a_list_may_be_longer_than_the_name_of_a_file() -> None:
    assert read_features(",".join(["17.990000"] * 512)) == [17.99] * 512


@pytest.mark.parametrize("text", ["nowhere.csv", "one,two", ""])
def test_what_is_neither_file_nor_numbers_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_features(text)
