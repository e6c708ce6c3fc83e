"""How tests call the command, and the network that it talks to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from nesa.cli.main import main
from tests.standing_network import StandingNetwork, shared_network


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Nesa = Callable[..., Outcome]


@pytest.fixture
def nesa(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Nesa:
    monkeypatch.setenv("COLUMNS", "160")

    def call(*words: object) -> Outcome:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def network() -> StandingNetwork:
    return shared_network()
