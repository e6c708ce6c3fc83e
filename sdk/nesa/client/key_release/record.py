"""Which operator was given the key of which shard, on disk, so that nobody collects shards."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from nesa.protocol.errors import ExhaustedResource, IntegrityError, InvalidConfiguration
from nesa.protocol.ids import Address, VersionId

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS released (
        version_id BLOB NOT NULL, operator TEXT NOT NULL, shard INTEGER NOT NULL,
        PRIMARY KEY (version_id, operator)
    ) WITHOUT ROWID
"""


class ReleaseRecord:
    """One shard for each operator and version; entries are for good. Use from one thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the file at `path`.

        Raises:
            InvalidConfiguration: it is something else or cannot be written.
        """
        self._path = path
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise InvalidConfiguration(
                f"{path} cannot be used as the record of released keys: {error}"
            ) from error

    def keep(self, version_id: VersionId, operator: Address, shard: int) -> int:
        """The shard whose key an operator may have: the first that was kept, now or before.

        Raises:
            ExhaustedResource: it cannot be stored; nothing was released.
            IntegrityError: the file is damaged; nothing was released.
        """
        try:
            return self._keep(version_id, operator, shard)
        except sqlite3.OperationalError as error:
            raise ExhaustedResource(f"the record of released keys: {error}") from error
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"{self._path}, the record of released keys, is damaged ({error}): keep it, and put"
                " its last whole copy in its place; until then no key is released"
            ) from error

    def _keep(self, version_id: VersionId, operator: Address, shard: int) -> int:
        self._database.execute(
            "INSERT OR IGNORE INTO released VALUES (?, ?, ?)", (version_id, operator, shard)
        )
        found = self._database.execute(
            "SELECT shard FROM released WHERE version_id = ? AND operator = ?",
            (version_id, operator),
        ).fetchone()
        return int(found[0])

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
