"""Tensors that are too long for the chain: where they are published, and what they go by.

A request with a long input carries its locator instead: one to four http or https URLs of one and
the same content, one a line. The content is what a short request would have carried, canonical
bytes or ciphertext. What is fetched is checked against the digest of the request, so that it does
not matter who hands it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import Digest
from nesa.protocol.queries import MAX_INPUT_BYTES, MAX_OUTPUT_BYTES

MAX_LOCATOR_BYTES: Final = 1024
MAX_URLS: Final = 4
CONTENT_PATH: Final = "/v1/contents/{query_id}/{name}"
"""Where members hand out the long input of a query by its digest, and the long answer by what was
reported in its place; `name` is 64 hexadecimal digits."""


def is_long_input(size: int) -> bool:
    """Whether an input of `size` bytes, as a request would carry it, is published elsewhere."""
    return size > MAX_INPUT_BYTES


def is_long_answer(size: int) -> bool:
    """Whether an answer of `size` bytes, as a report would bring it, stays with the members."""
    return size > MAX_OUTPUT_BYTES


def content_name(data: bytes) -> Digest:
    """What bytes go by whose type is nobody's business, e.g. ciphertext: their Merkle root."""
    return bytes_root(data)


def encode_locator(urls: Sequence[str]) -> bytes:
    """The locator that a request carries.

    Raises:
        InvalidInput: no URL, too many, or one that members would not ask.
    """
    if not 1 <= len(urls) <= MAX_URLS:
        raise InvalidInput(f"an input is published under 1 to {MAX_URLS} URLs, not {len(urls)}")
    for url in urls:
        if not _is_plain(url):
            raise InvalidInput(
                f"{url!r} is no URL that members ask: it has to be http or https, in ASCII, "
                "without a user, a password or a fragment"
            )
    locator = "\n".join(urls).encode()
    if len(locator) > MAX_LOCATOR_BYTES:
        raise InvalidInput(f"the URLs have {len(locator)} bytes, of {MAX_LOCATOR_BYTES} that fit")
    return locator


def decode_locator(locator: bytes) -> tuple[str, ...]:
    """The URLs in a locator.

    Raises:
        InvalidMessage: it is none.
    """
    if not 0 < len(locator) <= MAX_LOCATOR_BYTES or not locator.isascii():
        raise InvalidMessage("the request does not say where its input is published")
    urls = tuple(locator.decode("ascii").split("\n"))
    if len(urls) > MAX_URLS or not all(map(_is_plain, urls)):
        raise InvalidMessage("the request does not say where its input is published")
    return urls


def _is_plain(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    bare = "@" not in parts.netloc and "#" not in url
    return parts.scheme in ("http", "https") and has_host and bare
