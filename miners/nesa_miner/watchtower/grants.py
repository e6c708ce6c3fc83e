"""View grants that clients of sealed queries sent to this watchtower: files in one folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nesa.privacy.grants import (
    MAX_GRANT_BYTES,
    Granted,
    ViewGrant,
    decode_grant,
    open_grant,
)
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address
from nesa.protocol.queries import Query

MOST_GRANTS: Final = 10_000

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class GrantFolder:
    """The grants in `folder`, for the holder of `key`; files may come at any time.

    A file is read once; one that is no grant is named in the log and left where it is.
    """

    folder: Path
    key: X25519PrivateKey
    chain_id: int
    market: Address
    _read: set[str] = field(default_factory=set)
    _grants: dict[Granted, list[ViewGrant]] = field(default_factory=dict)

    def content_key(self, query: Query) -> bytes | None:
        """What opens a sealed query, as far as its requester granted the view of it."""
        self._take_up()
        granted = Granted(self.chain_id, self.market, query.query_id)
        for grant in self._grants.get(granted, ()):
            try:
                return open_grant(grant, self.key, query.requester)
            except InvalidMessage as error:
                log.warning("not a grant", query=query.query_id, reason=str(error))
        return None

    def _take_up(self) -> None:
        names = sorted(path.name for path in self.folder.glob("*.json"))
        for name in names[:MOST_GRANTS]:
            if name not in self._read:
                self._read.add(name)
                self._take(self.folder / name)

    def _take(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                grant = decode_grant(file.read(MAX_GRANT_BYTES + 1))
        except (OSError, InvalidMessage) as error:
            log.warning("not a grant", file=path.name, reason=str(error))
            return
        self._grants.setdefault(grant.granted, []).append(grant)
