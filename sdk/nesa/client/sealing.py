"""Gives the content key of a sealed query to drawn members that are admitted, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey

from nesa.chain.committees import Seat
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Deployment
from nesa.privacy import envelopes, sealing
from nesa.privacy.envelopes import Receiver, seal_envelope
from nesa.privacy.keys import public_key
from nesa.protocol.envelopes import MESSAGES_PATH
from nesa.protocol.ids import Timestamp, VersionId
from nesa.protocol.messages import ContentKey
from nesa.protocol.queries import Query

ENVELOPE_SECONDS: Final = 60
POST_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
RETRY_SECONDS: Final = 0.5


async def admitted(contracts: Contracts, version: VersionId, seats: Sequence[Seat]) -> list[Seat]:
    """The seats whose operators the version still admits: a seat outlives its admission, by a list
    or by an attestor, until somebody ends it, and nobody else is given a key.

    Nor is a seat whose encryption key of the query's epoch is in use no more: an attestor that
    admits the operator now speaks for the newer key.

    Raises:
        Unavailable: the node does not answer.
    """
    if await contracts.registry.admission_of(version, at="latest") is None:
        return list(seats)
    return [seat for seat in seats if await _is_admitted(contracts, version, seat)]


async def _is_admitted(contracts: Contracts, version: VersionId, seat: Seat) -> bool:
    record = await contracts.vault.operator(seat.operator, at="latest")
    epoch = await contracts.vault.epoch(at="latest")
    if seat.encryption_key not in (record.encryption_key_at(epoch), record.next_encryption_key):
        return False
    keys = (version, seat.operator, seat.signer)
    return await contracts.registry.admits(*keys, at="latest")


@dataclass(frozen=True, slots=True)
class KeySender:
    """Wraps and posts the content key of one query; `account` is whoever asked.

    Members judge envelopes by the clock of their machine, so `clock` is that and not the chain's.
    """

    account: LocalAccount
    deployment: Deployment
    query: Query
    content_key: bytes
    clock: Callable[[], float] = time.time

    async def deliver(self, seats: Sequence[Seat]) -> None:
        """Post to every seat, again and again to those that do not answer, until all have it.

        Runs until cancelled when a member never answers: its replicas go on without it.
        """
        async with aiohttp.ClientSession(timeout=POST_TIMEOUT) as session:
            await asyncio.gather(*(self._insist(session, seat) for seat in seats))

    @contextlib.asynccontextmanager
    async def delivering(self, seats: Sequence[Seat]) -> AsyncIterator[None]:
        """Deliver in the background while the block runs."""
        task = asyncio.create_task(self.deliver(seats))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _insist(self, session: aiohttp.ClientSession, seat: Seat) -> None:
        while True:
            if await self._post(session, seat):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _post(self, session: aiohttp.ClientSession, seat: Seat) -> bool:
        url = f"{seat.endpoint.rstrip('/')}{MESSAGES_PATH}"
        deadline = Timestamp(int(self.clock()) + ENVELOPE_SECONDS)
        try:
            envelope = self.envelope(seat, deadline)
            async with session.post(url, data=envelope, allow_redirects=False) as response:
                return response.status == 204
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False

    def envelope(self, seat: Seat, deadline: Timestamp) -> bytes:
        """What one member receives; fresh each time, for no envelope is taken twice.

        Raises:
            InvalidMessage: the member's encryption key is none.
        """
        key = public_key(seat.encryption_key)
        return seal_envelope(
            self._message(seat),
            deployment=envelopes.Deployment(self.deployment.chain_id, self.deployment.market),
            signer=PrivateKey(bytes(self.account.key)),
            receiver=Receiver(seat.signer, key),
            nonce=secrets.token_bytes(16),
            deadline=deadline,
        )

    def _message(self, seat: Seat) -> ContentKey:
        chain_id, market = self.deployment.chain_id, self.deployment.market
        attempt = (self.query.query_id, self.query.attempt)
        context = sealing.WrapContext(chain_id, market, *attempt, seat.signer)
        wrapped = sealing.wrap_content_key(
            self.content_key, public_key(seat.encryption_key), context
        )
        return ContentKey(chain_id, market, *attempt, wrapped)
