"""Asks servers that strangers name, and none that only this machine or its network can reach.

What is looked at is the address that is connected to, not the name that led there. Redirects are
for whoever reads to refuse, and no proxy of the environment is used.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from aiohttp import AddrInfoType, ClientSession, DummyCookieJar, TCPConnector

MOST_CONNECTIONS: Final = 16
MOST_TO_HOST: Final = 4

_TRANSLATED: Final = ip_network("64:ff9b::/96")
"""IPv6 addresses that a gateway turns into the IPv4 address in their last four bytes."""


def public_session(*, allow_private: bool) -> ClientSession:
    """A session for URLs that strangers name; `allow_private` lets it go anywhere."""
    connector = TCPConnector(
        limit=MOST_CONNECTIONS,
        limit_per_host=MOST_TO_HOST,
        socket_factory=None if allow_private else _public_socket,
        force_close=True,
    )
    return ClientSession(
        connector=connector, cookie_jar=DummyCookieJar(), auto_decompress=False, trust_env=False
    )


def is_public(address: str) -> bool:
    """Whether everybody on the internet can reach an IP address; not so if it is none."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast for one in (found, *_meant_by(found)))


def _meant_by(address: IPv4Address | IPv6Address) -> tuple[IPv4Address, ...]:
    """IPv4 addresses that an IPv6 address may lead to."""
    if isinstance(address, IPv4Address):
        return ()
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _TRANSLATED:
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(one for one in inner if one is not None)


def _public_socket(info: AddrInfoType) -> socket.socket:
    """A socket to connect to an address.

    Raises:
        OSError: the address is not public.
    """
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise OSError(f"{address[0]} is no public address")
    return socket.socket(family, kind, protocol)
