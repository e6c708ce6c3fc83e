"""Finds a query again that was asked before, by its number or its transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from nesa.chain.connection import Connection
from nesa.chain.events import QueryRequested, decode_event
from nesa.chain.history import find_query, gas_used
from nesa.chain.sender import find_receipt
from nesa.client.answers import AnyQuery, SubmittedQuery, number_of
from nesa.protocol.errors import InvalidInput, Unavailable, Unmined
from nesa.protocol.ids import Digest, QueryId


async def find_submitted(connection: Connection, query: AnyQuery) -> SubmittedQuery:
    """A query as `submit` returned it; one that is known otherwise is found, without its key.

    Raises:
        InvalidInput: the market knows no such query.
        Unavailable: the transaction that names it is in no block.
    """
    if isinstance(query, SubmittedQuery):
        return query
    if isinstance(query, bytes):
        number = await _number_in(connection, query)
    else:
        number = number_of(query)
    history = await find_query(connection, number)
    tx_hash = history.requested.log.tx_hash
    return SubmittedQuery(history.query, tx_hash, await gas_used(connection, tx_hash))


@contextlib.contextmanager
def named_when_unmined(content_key: bytes | None) -> Iterator[None]:
    """A request that is not mined in time says how to go on with it, and keeps its content key."""
    try:
        yield
    except Unmined as error:
        sent = f"0x{error.tx_hashes[-1].hex()}"
        error.args = (
            f"{error}; it may still be mined and paid for, so do not ask again but go on with "
            f"`nesa answer {sent}` (in Python `client.find` with `tx_hashes[-1]` of this error, "
            "and `content_key` where it was sealed)",
        )
        error.content_key = content_key
        raise


async def _number_in(connection: Connection, tx_hash: Digest) -> QueryId:
    receipt = await find_receipt(connection, tx_hash)
    if receipt is None:
        raise Unavailable(
            f"transaction 0x{tx_hash.hex()} is in no block; it may still be mined, and what never "
            "is costs nothing"
        )
    market = connection.deployment.market.lower()
    logs = (log for log in receipt.logs if log.address.lower() == market)
    for event in map(decode_event, logs):
        if isinstance(event, QueryRequested):
            return event.query_id
    raise InvalidInput(f"transaction 0x{tx_hash.hex()} asked nothing; nothing was paid by it")
