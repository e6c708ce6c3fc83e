"""Lets somebody outside of a sealed query's committees see it."""

from __future__ import annotations

from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey

from nesa.chain.deployment import Deployment
from nesa.chain.events import QueryRequested
from nesa.privacy.grants import Granted, ViewGrant, grant_view
from nesa.privacy.sealing import open_input
from nesa.protocol.contents import decode_locator
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import Address
from nesa.protocol.queries import Privacy


def granted_view(
    asked: QueryRequested,
    content_key: bytes | None,
    holder: bytes,
    account: LocalAccount,
    deployment: Deployment,
) -> ViewGrant:
    """A grant of one sealed query by its requester; `holder` is a view key of 32 bytes.

    Raises:
        InvalidInput: the query is open or another account's, its key is missing or another
            query's, or the view key is none.
    """
    query = asked.query
    if query.privacy is not Privacy.SEALED:
        raise InvalidInput(f"query {query.query_id} is open: everybody sees it")
    if query.requester != Address(account.address):
        raise InvalidInput(f"query {query.query_id} was asked by {query.requester}, who grants it")
    if content_key is None:
        raise InvalidInput(f"the content key of query {query.query_id} is needed")
    require_content_key(asked, content_key)
    granted = Granted(deployment.chain_id, deployment.market, query.query_id)
    return grant_view(content_key, granted, holder, PrivateKey(bytes(account.key)))


def require_content_key(asked: QueryRequested, content_key: bytes) -> None:
    """Returns when a key opens the input of a sealed query. Of a long input, which the request does
    not carry, nobody can tell here.

    Raises:
        InvalidInput: it is another query's.
    """
    if _is_locator(asked.input):
        return
    try:
        open_input(content_key, asked.query.version_id, asked.input)
    except InvalidMessage as error:
        raise InvalidInput(
            f"the content key is not that of query {asked.query.query_id}; give the key that it "
            "was asked with"
        ) from error


def _is_locator(carried: bytes) -> bool:
    try:
        decode_locator(carried)
    except InvalidMessage:
        return False
    return True
