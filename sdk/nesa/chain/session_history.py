"""The sessions and lists of products that the logs of SharedSessions tell of."""

from __future__ import annotations

from typing import Final

from nesa.chain.connection import Connection
from nesa.chain.events import ProductsListed, SessionOpened
from nesa.chain.history import read_events, topic, word
from nesa.chain.sessions import SharedSessions
from nesa.protocol.ids import Address, Digest, QueryId, VersionId

CONTRACT: Final = "SharedSessions"


async def find_session(connection: Connection, session_id: QueryId) -> SessionOpened | None:
    """The session with this number; None where there is none.

    Raises:
        Unavailable: the node does not answer, or the deployment has no sessions.
    """
    address = SharedSessions.of(connection).address
    topics = [topic(CONTRACT, "SessionOpened"), word(session_id)]
    since = connection.deployment.block
    found = await read_events(connection, address, topics, since)
    opened = [event for event in found if isinstance(event, SessionOpened)]
    return opened[-1] if opened else None


async def products_of(connection: Connection, first: VersionId) -> tuple[ProductsListed, ...]:
    """Every list of products that begins with a version, oldest first.

    Raises:
        Unavailable: as `find_session`.
    """
    address = SharedSessions.of(connection).address
    topics = [topic(CONTRACT, "ProductsListed")]
    found = await read_events(connection, address, topics, connection.deployment.block)
    lists = (event for event in found if isinstance(event, ProductsListed))
    return tuple(event for event in lists if event.version_ids[0] == first)


async def list_of(connection: Connection, products_id: Digest) -> ProductsListed | None:
    """The list of products with this id; None where there is none.

    Raises:
        Unavailable: as `find_session`.
    """
    address = SharedSessions.of(connection).address
    topics = [topic(CONTRACT, "ProductsListed"), f"0x{products_id.hex()}"]
    found = await read_events(connection, address, topics, connection.deployment.block)
    lists = [event for event in found if isinstance(event, ProductsListed)]
    return lists[0] if lists else None


async def sessions_of(connection: Connection, client: Address) -> tuple[SessionOpened, ...]:
    """Every session that a client ever opened, oldest first.

    Raises:
        Unavailable: as `find_session`.
    """
    address = SharedSessions.of(connection).address
    topics = [topic(CONTRACT, "SessionOpened"), None, word(client)]
    found = await read_events(connection, address, topics, connection.deployment.block)
    return tuple(event for event in found if isinstance(event, SessionOpened))
