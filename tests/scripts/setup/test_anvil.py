"""Which anvil is taken, and what is said where none can be."""

from pathlib import Path

import pytest

from scripts.setup import anvil
from scripts.setup.failure import SetupError


def make_program(folder: Path, version_line: str) -> Path:
    """An anvil that needs nothing on PATH: the machine's folders may hold one of its own."""
    folder.mkdir(parents=True)
    program = folder / "anvil"
    program.write_text(f"#!/bin/sh\necho '{version_line}'\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def link(tmp_path, monkeypatch):
    place = tmp_path / "tools" / "bin" / "anvil"
    monkeypatch.setattr(anvil, "ANVIL", place)
    monkeypatch.delenv("ANVIL", raising=False)
    return place


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    program = make_program(tmp_path / "pinned", "anvil Version: 1.7.1")
    monkeypatch.setattr(anvil, "_pinned_anvil", lambda: program)
    return program


def test_the_variable_wins_over_the_path(link, pinned, tmp_path, monkeypatch):
    named = make_program(tmp_path / "named", "anvil Version: 1.2.3-stable")
    on_path = make_program(tmp_path / "usual", "anvil Version: 1.7.1")
    monkeypatch.setenv("ANVIL", str(named))
    monkeypatch.setenv("PATH", str(on_path.parent))

    assert anvil.provide_anvil() == named
    assert link.readlink() == named


def test_a_named_anvil_that_does_not_run_is_an_error_and_not_passed_over(
    link, pinned, tmp_path, monkeypatch
):
    monkeypatch.setenv("ANVIL", str(make_program(tmp_path / "named", "something else")))

    with pytest.raises(SetupError, match="mend or unset it"):
        anvil.provide_anvil()


def test_an_anvil_on_the_path_spares_the_fetch(link, pinned, tmp_path, monkeypatch):
    on_path = make_program(tmp_path / "usual", "anvil Version: 1.7.1")
    monkeypatch.setenv("PATH", str(on_path.parent))

    assert anvil.provide_anvil() == on_path


@pytest.mark.parametrize("line", ["anvil 0.2.0 (f625d0f 2024-04-02)", "not for this machine"])
def test_an_old_or_broken_one_on_the_path_is_passed_over(link, pinned, tmp_path, monkeypatch, line):
    on_path = make_program(tmp_path / "usual", line)
    monkeypatch.setenv("PATH", str(on_path.parent))

    assert anvil.provide_anvil() == pinned


def test_its_own_link_on_the_path_is_not_taken_for_the_machines(
    link, pinned, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(link.parent))

    assert [anvil.provide_anvil() for _ in range(2)] == [pinned, pinned]
    assert link.readlink() == pinned


def test_a_machine_without_a_pin_is_told_what_to_do(link, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(SetupError, match=r"riscv64: install .* set ANVIL"):
        anvil.provide_anvil()
