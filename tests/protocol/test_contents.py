"""Where long inputs are, and what is long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.privacy.sealing import OVERHEAD_BYTES, carried_bytes, seal_input
from nesa.protocol.contents import (
    MAX_LOCATOR_BYTES,
    MAX_URLS,
    decode_locator,
    encode_locator,
    is_long_answer,
    is_long_input,
)
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import VersionId
from nesa.protocol.queries import Privacy

URL = "https://client.example:8443/inputs/ab?token=1"
BAD = [
    "ftp://client.example/a",
    "file:///etc/passwd",
    "https://user:password@client.example/a",
    "https://client.example/a#b",
    "https:///a",
    "https://client.example:99999/a",
    "https://client.example/a b",
    "https://clïent.example/a",
    "client.example/a",
    "",
]


@given(st.lists(st.sampled_from([URL, "http://10.0.0.1/b", "http://[::1]:80/c"]), min_size=1,
                max_size=MAX_URLS))  # fmt: skip
def test_a_locator_comes_back(urls: list[str]) -> None:
    assert decode_locator(encode_locator(urls)) == tuple(urls)


@pytest.mark.parametrize("url", BAD)
def test_what_members_would_not_ask_is_refused_on_both_sides(url: str) -> None:
    with pytest.raises(InvalidInput, match="no URL that members ask"):
        encode_locator([URL, url])
    with pytest.raises(InvalidMessage):
        decode_locator(f"{URL}\n{url}".encode())


@pytest.mark.parametrize("urls", [[], [URL] * (MAX_URLS + 1)])
def test_one_to_four_urls(urls: list[str]) -> None:
    with pytest.raises(InvalidInput, match="1 to 4 URLs"):
        encode_locator(urls)
    with pytest.raises(InvalidMessage):
        decode_locator("\n".join(urls).encode())


def test_a_locator_is_short() -> None:
    with pytest.raises(InvalidInput, match="that fit"):
        encode_locator([URL + "a" * MAX_LOCATOR_BYTES])
    with pytest.raises(InvalidMessage):
        decode_locator((URL + "a" * MAX_LOCATOR_BYTES).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_locator_or_refused(data: bytes) -> None:
    try:
        urls = decode_locator(data)
    except InvalidMessage:
        return
    assert encode_locator(urls) == data


def test_what_is_long_counts_as_it_travels() -> None:
    assert [is_long_input(size) for size in (1, 4096, 4097)] == [False, False, True]
    assert [is_long_answer(size) for size in (1, 1024, 1025)] == [False, False, True]
    sealed = seal_input(bytes(32), VersionId(bytes(32)), bytes(4090))
    assert len(sealed) == carried_bytes(Privacy.SEALED, 4090) == 4090 + OVERHEAD_BYTES
    assert carried_bytes(Privacy.OPEN, 4090) == 4090
