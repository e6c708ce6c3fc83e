"""Every command explains itself with an example and offers JSON."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from nesa.cli.main import cli
from nesa.cli.quantities import Nes
from tests.cli.conftest import Nesa


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name)


LEAVES = sorted(leaves(cli))


def test_the_promised_commands_are_there() -> None:
    assert {path[0] for path in LEAVES} == {
        "answer",
        "attest",
        "balance",
        "delegation",
        "demo",
        "devnet",
        "grant",
        "model",
        "privacy",
        "query",
        "reward",
        "sue",
        "summon",
        "transfer",
        "watch",
        "withdraw",
    }
    assert {path[1] for path in LEAVES if path[0] == "model"} == {
        "allow",
        "evict",
        "check",
        "compile",
        "circuits",
        "cut",
        "list",
        "plan",
        "register",
        "register-products",
        "release-keys",
        "retire",
        "share",
        "show",
        "split",
    }


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_has_an_example_and_json(nesa: Nesa, path: tuple[str, ...]) -> None:
    found = nesa(*path, "--help")
    assert found.code == 0
    assert "--json" in found.out
    assert f"nesa {' '.join(path)} " in found.out.split("Example")[-1]


def test_the_list_of_commands_matches_their_names(nesa: Nesa) -> None:
    found = nesa("--help")
    assert found.code == 0
    for path in LEAVES:
        assert path[0] in found.out


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["query"],
        ["query", "m", "1", "--assurance", "SURE"],
        ["devnet", "up", "--miners", "1"],
    ],
    ids=["command", "argument", "choice", "range"],
)
def test_wrong_usage_is_exit_code_two(nesa: Nesa, words: list[str]) -> None:
    found = nesa(*words)
    assert found.code == 2
    assert "Traceback" not in found.err


def test_help_has_a_short_form(nesa: Nesa) -> None:
    assert nesa("devnet", "up", "-h").out == nesa("devnet", "up", "--help").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--replicas", "abc"], "'abc' is not a valid whole number"),
        (["--max-fee", "abc"], "'abc' is no sum in NES"),
        (["--max-fee", "-1"], "give a number from 0 up"),
        (["--max-fee", "nan"], "give a number from 0 up"),
        (["--max-fee", "1e99"], "give a number from 0 up"),
        (["--max-fee", "0.0000000001"], "NES has 9 decimals"),
        (["--gas-deposit", "much"], "'much' is no sum of coins"),
        (["--gas-deposit", "-1"], "give a number from 0 up"),
        (["--gas-deposit", "1e-19"], "a coin has 18 decimals"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_quantity_is_told_in_words(nesa: Nesa, words: list[str], said: str) -> None:
    found = nesa("query", "m", "1", *words)
    assert found.code == 2
    assert said in found.err


def test_a_sum_is_exact() -> None:
    assert Nes().convert("0.000000001", None, None) == 1
    assert Nes().convert("1234567.123456789", None, None) == 1234567123456789
