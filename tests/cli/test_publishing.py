"""Options that say where a long input goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.cli.publishing import choose_publisher
from nesa.client.publishing import ContentServer, FolderPublisher, UploadPublisher
from nesa.protocol.errors import InvalidInput
from tests.cli.conftest import Nesa

URL = "https://files.example"


def test_what_is_said_decides() -> None:
    assert choose_publisher(None, None, None) is None
    assert choose_publisher(None, URL, None) == UploadPublisher(URL)
    assert choose_publisher(None, URL, Path("inputs")) == FolderPublisher(Path("inputs"), URL)
    assert isinstance(choose_publisher(("0.0.0.0", 8800), URL, None), ContentServer)


def test_what_does_not_go_together_is_said() -> None:
    with pytest.raises(InvalidInput, match="needs --content-url"):
        choose_publisher(None, None, Path("inputs"))
    with pytest.raises(InvalidInput, match="leave out --content-folder"):
        choose_publisher(("0.0.0.0", 8800), URL, Path("inputs"))


@pytest.mark.parametrize("address", ["8800", "host:", "host:x", "host:70000", ":80"])
def test_an_address_is_host_and_port(nesa: Nesa, address: str) -> None:
    found = nesa("query", "model", "1,2", "--serve", address)
    assert found.code == 2
    assert "is not HOST:PORT" in found.err
