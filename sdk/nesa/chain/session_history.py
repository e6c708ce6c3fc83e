"""The sessions and lists of products that the logs of SharedSessions tell of."""

from __future__ import annotations

from typing import Final, TypeVar

from nesa.chain.connection import Connection
from nesa.chain.events import ProductsListed, SessionOpened
from nesa.chain.history import read_events, topic, word
from nesa.chain.sessions import SharedSessions
from nesa.protocol.ids import Address, Digest, QueryId, VersionId

CONTRACT: Final = "SharedSessions"

_Event = TypeVar("_Event", ProductsListed, SessionOpened)


async def find_session(connection: Connection, session_id: QueryId) -> SessionOpened | None:
    """The session with this number; None where there is none.

    Raises:
        Unavailable: the node does not answer, or the deployment has no sessions.
    """
    found = await _read(connection, SessionOpened, word(session_id))
    return found[-1] if found else None


async def products_of(connection: Connection, first: VersionId) -> tuple[ProductsListed, ...]:
    """Every list of products that begins with a version, oldest first.

    Raises:
        Unavailable: as `find_session`.
    """
    found = await _read(connection, ProductsListed)
    return tuple(event for event in found if event.version_ids[0] == first)


async def list_of(connection: Connection, products_id: Digest) -> ProductsListed | None:
    """The list of products with this id; None where there is none.

    Raises:
        Unavailable: as `find_session`.
    """
    found = await _read(connection, ProductsListed, f"0x{products_id.hex()}")
    return found[0] if found else None


async def sessions_of(connection: Connection, client: Address) -> tuple[SessionOpened, ...]:
    """Every session that a client ever opened, oldest first.

    Raises:
        Unavailable: as `find_session`.
    """
    return await _read(connection, SessionOpened, None, word(client))


async def _read(
    connection: Connection, kind: type[_Event], *indexed: str | None
) -> tuple[_Event, ...]:
    """Every event of a kind with these indexed fields, oldest first."""
    address = SharedSessions.of(connection).address
    topics = [topic(CONTRACT, kind.__name__), *indexed]
    found = await read_events(connection, address, topics, connection.deployment.block)
    return tuple(event for event in found if isinstance(event, kind))
