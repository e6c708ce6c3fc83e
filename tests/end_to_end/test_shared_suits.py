"""Members of a session are sued: for right sums they defend themselves, a liar loses its seat."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from eth_keys.datatypes import PrivateKey

from nesa import Client
from nesa.chain.court import Suit
from nesa.chain.disputes import Challenge, Ending, ShownVersion
from nesa.chain.events import Moved, SessionOpened
from nesa.chain.history import find_versions
from nesa.chain.keystore import load_keystore
from nesa.chain.sender import Sender
from nesa.chain.session_history import find_session, list_of
from nesa.cli.demo.liar import replace_by_liar
from nesa.cli.main import main
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator
from nesa.models.samples import LabelledRows
from nesa.privacy.shared.statements import Session, sign_sums
from nesa.protocol.ids import Digest, QueryId, VersionId
from nesa.protocol.sessions import product_terms
from nesa.protocol.statements import Statement
from nesa.protocol.versions import shards_digest
from nesa_miner.disputes.courtroom import Courtroom
from tests.end_to_end.conftest import PUBLIC
from tests.end_to_end.processes import Observer
from tests.end_to_end.sessions import ROUND_SECONDS, members_of
from tests.end_to_end.test_disputes import Dispute, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("everybody_honest"),
    pytest.mark.deep,
]


@dataclass(frozen=True)
class Accuser:
    """An account with NES that sues."""

    client: Client
    room: Courtroom

    async def sue(self, statement: Statement) -> Challenge:
        """A suit about a product of a session."""
        context, court = statement.reveal.context, self.room.court
        opened = await self.opened(context.query_id)
        version_id, shown = await self.shown(opened, context.attempt)
        terms = product_terms(opened.query, context.attempt, version_id)
        limits = await self.room.contracts.parameters.request_limits("latest")
        await self.room.send(self.room.contracts.token.approve(court.address, limits.seat_stake))
        while not await self.room.has_announced(statement.evidence):
            await asyncio.sleep(0.2)
        await self.room.send(court.sue(Suit(terms, shown, statement, opened.query.seed_block)))
        challenges = await Dispute(self.client, context.query_id).challenges()
        return challenges[-1]

    async def opened(self, session_id: QueryId) -> SessionOpened:
        found = await find_session(self.client.connection, session_id)
        assert found is not None
        return found

    async def shown(self, opened: SessionOpened, number: int) -> tuple[VersionId, ShownVersion]:
        """What the version of a product is the hash of."""
        connection = self.client.connection
        listed = await list_of(connection, opened.products_id)
        assert listed is not None
        version_id = listed.version_ids[number]
        (event,) = [e for e in await find_versions(connection) if e.version_id == version_id]
        digest = shards_digest([await self.room.contracts.registry.shard(version_id, 0, "latest")])
        head = (event.developer, event.operators_root, digest)
        return version_id, ShownVersion(*head, event.metadata_digest)


@pytest_asyncio.fixture(loop_scope="session")
async def accuser(devnet: Devnet, client: Client) -> AsyncIterator[Accuser]:
    account = devnet.foundation.people.deployer.account
    sender = Sender(client.connection, account)
    yield Accuser(client, Courtroom.open(client.connection, sender))


async def signed_by(
    client: Client, accuser: Accuser, operator: Operator, session_id: QueryId
) -> Statement:
    """What a member signed of the first product, as its client has it."""
    path = operator.folder / "journal.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        digests = journal.execute(
            "SELECT in_digest, out_digest FROM session_statements"
            " WHERE session_id = ? AND number = 0 AND round = 0",
            (session_id,),
        ).fetchone()
    password = operator.password_file.read_text().splitlines()[0]
    key = PrivateKey(bytes(load_keystore(operator.folder / "keys/signer.json", password).key))
    opened = await accuser.opened(session_id)
    seed = (await client.connection.block(opened.query.seed_block)).hash
    deployment = client.connection.deployment
    assert deployment.sessions is not None
    session = Session(deployment.chain_id, deployment.sessions, session_id, seed)
    return sign_sums(key, session.product(0), 0, *map(Digest, digests))


async def test_a_member_that_is_sued_for_right_sums_defends_itself(
    client: Client,
    devnet: Devnet,
    observer: Observer,
    accuser: Accuser,
    shared: SharedPublicModel,
    rows: LabelledRows,
) -> None:
    """It does so though it was killed in between: the share is in its journal."""
    async with client.shared_session(shared) as session:
        await session.ask(rows.features[0], round_seconds=ROUND_SECONDS)
        _, (member,), _ = members_of(devnet, session)
    dispute = Dispute(client, session.session_id)
    before = await dispute.stake(member)
    await observer.kill(member)
    await accuser.sue(await signed_by(client, accuser, member, session.session_id))
    await observer.restart(member)

    async def has_defended() -> bool:
        return await dispute.count(Moved) == 1

    await until(has_defended)
    await dispute.pass_time(21)

    async def is_over() -> bool:
        return await dispute.ending() is not None

    await until(is_over)
    assert await dispute.ending() is Ending.STANDING
    assert await dispute.stake(member) == before


async def test_what_a_client_keeps_of_a_liar_takes_its_seat(
    client: Client,
    devnet: Devnet,
    shared: SharedPublicModel,
    rows: LabelledRows,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the command, which is told first what it would do."""
    async with client.shared_session(shared) as session:
        _, (chosen,), _ = members_of(devnet, session)
        liar = await replace_by_liar(devnet, chosen.name)
        result = await session.ask(rows.features[1], round_seconds=ROUND_SECONDS)
    ((name, stored),) = result.evidence.items()
    (tmp_path / name).write_bytes(stored)
    words = ["sue", str(tmp_path / name), "--shared", str(PUBLIC), "--reveal-share"]
    words += ["--network", str(devnet.layout.network)]
    dispute = Dispute(client, session.session_id)
    before = await dispute.stake(liar)
    assert await asyncio.to_thread(main, [*words, "--dry-run"]) == 0
    assert liar.signer in capsys.readouterr().out
    assert not await dispute.challenges()
    suit = asyncio.create_task(asyncio.to_thread(main, words))

    async def is_open() -> bool:
        return bool(await dispute.challenges())

    await until(is_open)
    (challenge,) = await dispute.challenges()
    await dispute.pass_time(61)
    assert await suit == 0
    assert "the signer was convicted and lost a seat's stake" in capsys.readouterr().out
    assert await dispute.ending() is Ending.FALLEN
    assert await dispute.stake(liar) == before - challenge.seat_stake
