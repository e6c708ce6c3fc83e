"""Errors are one sentence that says what to do."""

from __future__ import annotations

import pytest

from nesa.cli.failures import sentence
from nesa.protocol.errors import IntegrityError, InvalidInput, Rejected, Unavailable


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
