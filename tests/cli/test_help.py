"""Every command explains itself with an example and offers JSON."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from nesa.cli.main import cli
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
        "balance",
        "demo",
        "devnet",
        "model",
        "query",
        "watch",
        "withdraw",
    }
    assert {path[1] for path in LEAVES if path[0] == "model"} == {
        "check",
        "compile",
        "cut",
        "list",
        "register",
        "show",
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
