"""`nesa query --privacy auto`: what is explained, what is asked, what is refused."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from nesa.models.folder import load
from tests.cli.conftest import Nesa
from tests.standing_network import StandingNetwork

MLP = "breast-cancer-mlp"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def numbers() -> str:
    return ",".join(map(str, load(ROOT / "models" / MLP).test_rows().features[0]))


def test_a_plan_is_explained_and_nothing_is_paid(
    nesa: Nesa, network: StandingNetwork, numbers: str
) -> None:
    options = ("--network", network.file, "--privacy", "auto", "--dry-run")
    before = nesa("balance", "--network", network.file, "--json").document
    found = nesa("query", MLP, numbers, *options, "--sensitivity", "personal")
    assert found.code == 0
    assert "SEALED AGREED (row 8 of the table)" in found.out
    assert "the 8 operators that are drawn and spares in their place read the input" in found.out
    assert "price            0.4 NES" in found.out
    assert "passed over: EQUIVARIANT AGREED: the model is not under a key of yours" in found.out
    document = nesa("query", MLP, numbers, *options, "--sensitivity", "public", "--json").document
    assert document["plan"]["mode"] == "OPEN"
    assert nesa("balance", "--network", network.file, "--json").document == before


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("options", "question"),
    [
        (["--sensitivity", "personal"], "Pay 0.4 NES for it? [y/N]"),
        (
            ["--sensitivity", "critical", "--shared", ROOT / "models" / MLP],
            "Put down 0.6 NES for it? [y/N]",
        ),
    ],
)
def test_whoever_says_no_pays_nothing(
    nesa: Nesa,
    network: StandingNetwork,
    numbers: str,
    monkeypatch: pytest.MonkeyPatch,
    options: list[object],
    question: str,
) -> None:
    before = nesa("balance", "--network", network.file, "--json").document
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    found = nesa("query", MLP, numbers, "--network", network.file, "--privacy", "auto", *options)
    assert found.code == 130
    assert question in found.out
    assert nesa("balance", "--network", network.file, "--json").document == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--privacy", "auto"], "needs --sensitivity public|personal|critical"),
        (["--privacy", "auto", "--sensitivity", "public"], "add --yes"),
        (["--privacy", "auto", "--sealed"], "leave one of them out"),
        (["--privacy", "auto", "--assurance", "PROVED"], "chooses the assurance"),
        (["--privacy", "open", "--sealed"], "leave one of them out"),
        (["--sensitivity", "public"], "for --privacy auto"),
        (["--yes"], "for --privacy auto"),
        (["--public-answer"], "for --privacy auto"),
        (
            ["--privacy", "auto", "--sensitivity", "personal", "--max-fee", "0.01", "--dry-run"],
            "more than the limit of 0.01 NES",
        ),
        (["--attested", "0x" + "11" * 20], "seats everybody, so its seats are not attested"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(
    nesa: Nesa, network: StandingNetwork, numbers: str, words: list[str], reason: str
) -> None:
    found = nesa("query", MLP, numbers, "--network", network.file, *words)
    assert found.code == 1
    assert reason in " ".join(found.err.split())
    assert "Traceback" not in found.err
