"""`nesa privacy audit`: what it finds, that it fails where a claim is broken, wrong folders."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import numpy as np
import pytest

from nesa.cli.commands import privacy_audit
from nesa.cli.main import main
from nesa.privacy.battery import bounds, observing
from nesa.privacy.battery.findings import Attack
from nesa.privacy.battery.observing import OF_INTEGERS
from nesa.privacy.battery.views import Observer
from nesa.privacy.shared import seeds

FOLDER = "models/breast-cancer-mlp"


@pytest.fixture(autouse=True)
def _same_draws(monkeypatch):
    """Keys and seeds are drawn alike in every run, so that chance is the same each time."""
    draws = np.random.default_rng(7)
    alike = SimpleNamespace(token_bytes=draws.bytes, randbits=lambda bits: 7)
    for module in (seeds, observing):
        monkeypatch.setattr(module, "secrets", alike)


def audited(capsys, *arguments: str) -> dict[str, dict]:
    """The strongest finding of each attack by observer; the command must succeed."""
    assert main(["privacy", "audit", FOLDER, *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["observers"]
    return {each["observer"]: {f["attack"]: f for f in each["findings"]} for each in found}


def test_every_mode_is_audited_without_a_choice(capsys):
    """One share is held against two that collude."""
    found = audited(capsys)
    assert set(found) == {each.value for each in OF_INTEGERS}
    alone, together = (
        found[each.value]["T1"] for each in (Observer.SHARED_MEMBER, Observer.SHARED_COLLUDING)
    )
    assert alone["claim"] == "held"
    assert alone["recovery"] <= alone["baseline"] + alone["slack"]
    assert together == {**together, "claim": "none", "recovery": 1.0}


def test_a_person_reads_a_table(capsys):
    assert main(["privacy", "audit", FOLDER, "--mode", "equivariant", "--every"]) == 0
    shown = capsys.readouterr().out
    assert "T3 matching of weights" in shown
    assert "depth 2" in shown
    assert "chance up to" in shown


def test_a_picture_is_drawn(capsys, tmp_path):
    file = tmp_path / "audit.svg"
    assert main(["privacy", "audit", FOLDER, "--mode", "open", "--plot", str(file)]) == 0
    drawn = "".join(ElementTree.fromstring(file.read_text(encoding="utf-8")).itertext())
    assert "breast-cancer-mlp" in drawn
    assert Observer.OPEN_MEMBER.value in drawn


def test_a_picture_that_cannot_be_written_is_an_error_before_anything_is_attacked(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr(privacy_audit, "_attacked", lambda *_: pytest.fail("minutes of attacks"))
    file = str(tmp_path / "nowhere" / "audit.svg")
    assert main(["privacy", "audit", FOLDER, "--mode", "open", "--plot", file]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_broken_claim_fails_the_command(capsys, monkeypatch):
    claims = {**bounds.CLAIMS, Observer.SPLIT_MEMBER: dict.fromkeys(Attack, bounds.Claim.CHANCE)}
    monkeypatch.setattr(bounds, "CLAIMS", claims)
    assert main(["privacy", "audit", FOLDER, "--mode", "split"]) == 1
    assert "BROKEN" in capsys.readouterr().out


def test_a_folder_that_holds_no_model_is_refused(capsys, tmp_path):
    assert main(["privacy", "audit", str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--mode", "quantum"], ["--requests", "0"]])
def test_wrong_words_are_wrong_usage(words):
    assert main(["privacy", "audit", FOLDER, *words]) == 2
