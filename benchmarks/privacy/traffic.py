"""Bytes that this process exchanges over TCP, told apart by the port of the other side."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Wire:
    """Bytes `sent` to and `received` from each port, headers of HTTP and all."""

    sent: Counter[int] = field(default_factory=Counter)
    received: Counter[int] = field(default_factory=Counter)

    def besides(self, port: int) -> tuple[int, int]:
        """Bytes sent and received, without those of one port."""
        sums = (sum(one.values()) - one[port] for one in (self.sent, self.received))
        sent, received = sums
        return sent, received


@contextmanager
def counted() -> Iterator[Wire]:
    """Counts while the block runs. asyncio calls the class's methods, so those are what is
    replaced; sockets of other threads are counted too."""
    wire = Wire()
    plain = {name: getattr(socket.socket, name) for name in ("send", "recv")}
    try:
        for name, book, size in (("send", wire.sent, int), ("recv", wire.received, len)):
            setattr(socket.socket, name, _counting(plain[name], book, size))
        yield wire
    finally:
        for name, method in plain.items():
            setattr(socket.socket, name, method)


def _counting(
    method: Callable[..., Any], book: Counter[int], size: Callable[[Any], int]
) -> Callable[..., Any]:
    def counting(sock: socket.socket, *arguments: Any) -> Any:
        found = method(sock, *arguments)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            book[_port(sock)] += size(found)
        return found

    return counting


def _port(sock: socket.socket) -> int:
    """The other side's port; 0 where it is gone."""
    try:
        return int(sock.getpeername()[1])
    except OSError:
        return 0
