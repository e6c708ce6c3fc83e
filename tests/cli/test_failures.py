"""Errors are one sentence that says what to do."""

from __future__ import annotations

import warnings

import pytest

from nesa.cli.failures import document, sentence, warnings_in_words
from nesa.client.answers import SubmittedQuery
from nesa.protocol.errors import (
    IntegrityError,
    InvalidInput,
    NesaError,
    QueryExpired,
    QueryRefunded,
    Rejected,
    Unavailable,
)
from nesa.protocol.ids import Digest
from tests.oracle.cases import query_with


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Rejected("market: fee too low"), "the chain refused: market: fee too low"),
        (
            Unavailable("the node is away"),
            "the node is away; check that the network runs and try again",
        ),
        (Unavailable("it is away; wait"), "it is away; wait"),
        (InvalidInput("give a number"), "give a number"),
        (
            IntegrityError("other bytes"),
            "other bytes; fetch the file again from somebody you trust",
        ),
        (PermissionError(13, "denied", "x.json"), "cannot use x.json: denied; check the path"),
        (ZeroDivisionError("1/0"), "a fault of its own (ZeroDivisionError: 1/0)"),
        (ExceptionGroup("several", [InvalidInput("the first")]), "the first"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_becomes_a_sentence(error: Exception, words: str) -> None:
    assert words in sentence(error)
    assert "\n" not in sentence(error)


OPEN = SubmittedQuery(query_with(), Digest(b"\1" * 32), None)
SEALED = SubmittedQuery(query_with(), Digest(b"\1" * 32), None, b"\2" * 32)


@pytest.mark.parametrize(
    ("error", "submitted", "command"),
    [
        (Unavailable("away"), OPEN, "nesa answer 7"),
        (Unavailable("away"), SEALED, "nesa answer 7 --content-key nesa-query-7.key"),
        (QueryExpired("too late"), OPEN, "nesa watch 7 --refund"),
        (QueryRefunded("gone"), OPEN, None),
    ],
    ids=["open", "sealed", "expired", "refunded"],
)
def test_a_query_that_was_paid_for_is_named_with_what_goes_on(
    error: NesaError, submitted: SubmittedQuery, command: str | None
) -> None:
    error.submitted = submitted
    found = document(error)["error"]
    assert found == {
        "kind": type(error).__name__,
        "message": sentence(error),
        "query": 7,
        "transaction": "0x" + "01" * 32,
        "resume": command,
    }
    assert (command or "") in sentence(error)
    assert "02" * 32 not in str(found)


def test_a_warning_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings_in_words():
        warnings.warn("model \x1b[2J\u202enet\n is left out", stacklevel=1)
    assert capsys.readouterr().err == "Warning: model \ufffd[2J\ufffdnet\ufffd is left out\n"
