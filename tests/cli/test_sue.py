"""`nesa sue`: what it says of evidence before anything is sent, and of how a suit goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_keys.datatypes import PrivateKey

from nesa.chain.disputes import Challenge, Ending
from nesa.cli.commands.sue import in_words
from nesa.cli.sharing import tell_kept
from nesa.client.suing import Answered, Decided, Sued
from nesa.models.disputes.traces import Charge
from nesa.privacy.shared.evidence import ShareEvidence, encode_share_evidence
from nesa.privacy.shared.statements import Session, sign_sums
from nesa.protocol.ids import (
    ONE_NES,
    ZERO_DIGEST,
    Address,
    Amount,
    Digest,
    QueryId,
    Seconds,
    Timestamp,
    VersionId,
)
from nesa.protocol.sessions import FIRST_SESSION
from tests.cli.conftest import Nesa
from tests.cli.test_commands import MLP, ROOT
from tests.standing_network import StandingNetwork

ANYBODY = Address("0x" + "11" * 20)
MODEL = ROOT / "models" / MLP
CHALLENGE = Challenge(
    7, ANYBODY, QueryId(FIRST_SESSION + 1), ANYBODY, Charge(b"", 0, 1, b"", b""), (ANYBODY,),
    Amount(1_000), Amount(100), Amount(100), Timestamp(60), Seconds(20), ANYBODY,
)  # fmt: skip


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """Evidence of another chain."""
    session = Session(1, ANYBODY, QueryId(FIRST_SESSION + 1), ZERO_DIGEST)
    digest = Digest(b"\x01" * 32)
    said = sign_sums(PrivateKey(b"\x01" * 32), session.product(0), 0, digest, digest)
    path = tmp_path / "stranger.cbor"
    path.write_bytes(encode_share_evidence(ShareEvidence(VersionId(ZERO_DIGEST), said, b"1")))
    return path


def test_what_is_no_evidence_is_refused_before_a_network_is_asked(
    nesa: Nesa, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("they lied")
    found = nesa("sue", file, "--shared", MODEL, "--network", tmp_path / "none.json")
    assert found.code == 1
    assert "no evidence of a query on shares" in found.err
    assert "nesa-wrong-share-" in found.err


def test_evidence_of_another_chain_is_refused(
    nesa: Nesa, network: StandingNetwork, stranger: Path
) -> None:
    found = nesa("sue", stranger, "--shared", MODEL, "--network", network.file, "--dry-run")
    assert found.code == 1
    assert "the evidence is of chain 1 " in found.err


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Sued(CHALLENGE), "suit 7 is open: the member may answer until 1970-01-01 00:01:00 UTC"),
        (Answered(3, Timestamp(90)), "3 moves were made; the next is due by"),
        (Decided(CHALLENGE, Ending.FALLEN, Amount(2 * ONE_NES)), "is won"),
        (Decided(CHALLENGE, Ending.FALLEN, Amount(2 * ONE_NES)), "; 2 NES came back"),
        (Decided(CHALLENGE, Ending.STANDING, Amount(0)), "the bond is gone"),
        (Decided(CHALLENGE, Ending.FALLEN_ELSEWHERE, Amount(0)), "another suit"),
    ],
)
def test_a_suit_is_told_in_lines(progress: Sued | Answered | Decided, said: str) -> None:
    assert said in in_words(progress)


def test_evidence_that_is_kept_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tell_kept({"a.cbor": b"1"}, quiet=True)
    assert not capsys.readouterr().out
    tell_kept({"a.cbor": b"1"}, quiet=False)
    assert "what convicts it is in a.cbor" in capsys.readouterr().out
