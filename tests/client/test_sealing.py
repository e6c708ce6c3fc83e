"""The content key of a sealed query reaches every drawn member, however late it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_account import Account
from eth_keys.datatypes import PrivateKey

from nesa.chain.anvil import CHAIN_ID
from nesa.chain.committees import Seat
from nesa.chain.deployment import CONTRACT_NAMES, Deployment
from nesa.client import sealing
from nesa.client.sealing import KeySender
from nesa.privacy import envelopes
from nesa.privacy.envelopes import Opened, ReplayWindow, open_envelope
from nesa.privacy.keys import generate_key, public_bytes
from nesa.protocol.envelopes import MESSAGES_PATH
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address, Timestamp
from nesa.protocol.messages import ContentKey
from tests.oracle.cases import MARKET, query_with

MEMBER = PrivateKey(b"\5" * 32)
ME = Address(MEMBER.public_key.to_checksum_address())
DEPLOYMENT = Deployment.model_validate(
    {"chain_id": CHAIN_ID, "block": 1, **dict.fromkeys(CONTRACT_NAMES, MARKET)}
)


@dataclass
class LateMember:
    """Turns the first envelope away and takes the next."""

    port: int = 0
    key: X25519PrivateKey = field(default_factory=generate_key)
    now: float = 1_000.0
    seen: list[Opened] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        data = await request.read()
        try:
            opened = self.opened(data)
        except InvalidMessage as error:
            self.refused.append(str(error))
            return web.Response(status=400)
        if self.now < 2_000:
            self.now += 1_000
            return web.Response(status=503)
        self.seen.append(opened)
        return web.Response(status=204)

    def opened(self, data: bytes) -> Opened:
        return open_envelope(
            data,
            deployment=envelopes.Deployment(CHAIN_ID, MARKET),
            me=ME,
            key=self.key,
            window=ReplayWindow(),
            now=Timestamp(int(self.now)),
        )

    def seat(self) -> Seat:
        endpoint = f"http://127.0.0.1:{self.port}"
        return Seat(0, ME, ME, endpoint, public_bytes(self.key))


@pytest.fixture
async def member() -> AsyncIterator[LateMember]:
    made = LateMember()
    app = web.Application()
    app.router.add_post(MESSAGES_PATH, made.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def test_a_member_that_was_away_for_long_still_gets_the_key(
    member: LateMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "RETRY_SECONDS", 0.01)
    hopeless = [
        Seat(1, ME, ME, member.seat().endpoint, b"\1" + bytes(31)),
        Seat(2, ME, ME, "http://[", member.seat().encryption_key),
    ]
    account = Account.create()
    sender = KeySender(account, DEPLOYMENT, query_with(), bytes(32), lambda: member.now)
    delivery = asyncio.create_task(sender.deliver([*hopeless, member.seat()]))
    async with asyncio.timeout(60):
        while not member.seen:
            await asyncio.sleep(0.01)
    assert not delivery.done()
    delivery.cancel()
    assert isinstance(member.seen[0].message, ContentKey)
    assert member.refused == []
