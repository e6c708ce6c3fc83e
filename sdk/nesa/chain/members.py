"""Asks members at the endpoints that they registered."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import ClientSession

from nesa.chain.web import Patience, read_url
from nesa.protocol.errors import Unavailable


async def ask_member(
    session: ClientSession,
    endpoint: str,
    path: str,
    patience: Patience,
    params: Mapping[str, str] | None = None,
) -> bytes | None:
    """What a member answers below its endpoint; None when it has nothing.

    Raises:
        Unavailable: no usable answer.
    """
    if not _is_web(endpoint):
        raise Unavailable("the endpoint is no http or https URL")
    return await read_url(session, endpoint.rstrip("/") + path, patience, params)


def _is_web(endpoint: str) -> bool:
    try:
        return urlsplit(endpoint).scheme in ("http", "https")
    except ValueError:
        return False
