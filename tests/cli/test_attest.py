"""`nesa attest` says what it wants: a policy, and a quote as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nesa.privacy.attested.policy import Policy
from tests.cli.conftest import Nesa


def test_the_policy_in_the_help_is_one(nesa: Nesa) -> None:
    said = nesa("attest", "verify", "--help").out
    example = re.search(r"\{\"measurements\".*?\"max_age\": \d+\}", said, re.DOTALL)
    assert example is not None
    policy = json.loads(example[0].replace("0x91eb…", f"0x{'91eb' * 24}"))
    assert Policy.model_validate(policy).measurements[0].registers["mr_td"]


@pytest.mark.parametrize("command", ["verify", "post"])
def test_the_help_names_the_page_about_policies(nesa: Nesa, command: str) -> None:
    assert "docs/attested-seats.md" in nesa("attest", command, "--help").out
    assert (Path(__file__).parents[2] / "docs" / "attested-seats.md").is_file()


@pytest.mark.parametrize("data", [b"", b"x", b"\4", bytes(300), b'{"quote": "0x04"}'])
def test_what_is_no_quote_is_told_in_a_whole_sentence(
    nesa: Nesa, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "quote.bin"
    path.write_bytes(data)
    found = nesa("attest", "show", str(path))
    assert found.code == 1
    said = " ".join(found.err.split())
    assert re.search(r"not a quote of SGX or TDX \(.*[^ :]\); give its bytes", said)
    assert said.endswith("not as hex or JSON")
