"""View grants on the command line: whom they are for, and the files that they become."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from nesa.client.answers import SubmittedQuery
from nesa.client.client import Client
from nesa.privacy.grants import ViewGrant, check_holder, encode_grant
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import QueryId

MOST_WATCHERS: Final = 16
"""How many watchers one query may name."""


class ViewKey(click.ParamType):
    """The public key of who may see, 32 bytes in hex."""

    name = "view key"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """The bytes; anything else is wrong usage."""
        if isinstance(value, bytes):
            return value
        if not re.fullmatch("0x[0-9a-fA-F]{64}", value):
            wanted = "0x and 64 digits, as `nesa-miner watchtower init` shows it"
            self.fail(f"{value!r} is no view key; it is {wanted}", param, ctx)
        return bytes.fromhex(value[2:])


def grant_file(query_id: QueryId, holder: bytes | None = None) -> Path:
    """Where a grant is written; by its holder where a query has several."""
    return Path(f"nesa-grant-{query_id}{f'-{holder.hex()}' if holder else ''}.json")


def write_grant(path: Path, grant: ViewGrant) -> None:
    """Write a grant to a file.

    Raises:
        InvalidConfiguration: it cannot be written.
    """
    try:
        path.write_text(encode_grant(grant), encoding="ascii")
    except OSError as error:
        raise InvalidConfiguration(f"cannot write {path}: {error.strerror}") from error


@dataclass(slots=True)
class Watchers:
    """Who may see a query from the moment it has a number, by their view keys of 32 bytes.

    A reorganisation can give the query another number, and a grant is of one: each number has its
    own files, written once.
    """

    holders: tuple[bytes, ...] = ()
    _granted: dict[QueryId, tuple[Path, ...]] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse, before anything is paid, what no grant can be made for.

        Raises:
            InvalidInput: nothing can be encrypted to one of the keys.
        """
        for holder in self.holders:
            check_holder(holder)

    async def grant(self, client: Client, submitted: SubmittedQuery) -> tuple[Path, ...]:
        """Write what is not written yet; returns the new files.

        Raises:
            InvalidConfiguration: a file cannot be written.
            Unavailable: the node does not answer.
        """
        query_id = submitted.query_id
        if query_id in self._granted:
            return ()
        written = []
        for holder in self.holders:
            path = grant_file(query_id, holder if len(self.holders) > 1 else None)
            write_grant(path, await client.grant_view(submitted, holder))
            written.append(path)
        self._granted[query_id] = tuple(written)
        return tuple(written)
