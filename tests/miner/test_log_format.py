"""Logs are JSON lines and hold nothing that a query hides."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import structlog

from nesa_miner.log_format import MAX_TEXT, WITHHELD, configure_logging, without_content


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where logs go, until the test ends."""
    handlers = logging.root.handlers[:]
    out = io.StringIO()
    configure_logging(out)
    yield out
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_log_is_one_document_a_line(stream: io.StringIO) -> None:
    structlog.get_logger("nesa_miner").info("drawn", query=7, shard=0)
    (line,) = lines(stream)
    assert (line["event"], line["query"], line["shard"]) == ("drawn", 7, 0)
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("name", sorted(WITHHELD))
def test_forbidden_names_are_withheld(stream: io.StringIO, name: str) -> None:
    structlog.get_logger().warning("refused", **{name: "secret"})
    assert "secret" not in stream.getvalue()
    assert lines(stream)[0][name] == "withheld"


@pytest.mark.parametrize(
    "value", [b"secret", bytearray(b"secret"), [b"secret"], {"body": b"secret"}, (b"secret",)]
)
def test_bytes_show_only_their_length(stream: io.StringIO, value: object) -> None:
    structlog.get_logger().info("sent", body=value)
    assert "secret" not in stream.getvalue()
    assert "6 bytes" in stream.getvalue()


def test_nested_names_are_withheld_too() -> None:
    fields: dict[str, Any] = {"query": {"tensors": [1, 2, 3], "id": 4}}
    assert without_content(None, "", fields) == {"query": {"tensors": "withheld", "id": 4}}


def test_arrays_show_only_their_shape(stream: io.StringIO) -> None:
    structlog.get_logger().info("ran", result=np.array([[41, 42]]))
    assert lines(stream)[0]["result"] == "array of shape (1, 2)"


def test_text_has_an_end(stream: io.StringIO) -> None:
    structlog.get_logger().info("said", reason="x" * 10_000)
    assert len(lines(stream)[0]["reason"]) < MAX_TEXT + 40


def test_what_libraries_say_is_a_line_too(stream: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("bad request from %s", "10.0.0.1")
    logging.getLogger("aiohttp.server").info("not worth a line")
    (line,) = lines(stream)
    assert line["event"] == "bad request from 10.0.0.1"
    assert line["library"] == "aiohttp.server"


def test_a_traceback_shows_no_values(stream: io.StringIO) -> None:
    def fail(password: str) -> None:
        raise RuntimeError("it broke")

    secret = "hunter2"
    try:
        fail(secret)
    except RuntimeError:
        structlog.get_logger().exception("stopped")
    assert "it broke" in stream.getvalue()
    assert secret not in stream.getvalue()
