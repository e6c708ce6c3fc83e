"""A version for attested seats on a network of real processes: stated, seated, asked, revoked.

The attestor's statements are sent as they are here: what stands behind one, a quote that it
checked, is in tests/miner/operating/test_attested_seats.py, on a chain of the day on which the
sample quotes were good.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from eth_utils.crypto import keccak

from nesa import Answer, Auto, Client, InvalidInput, KeyFile, Model, Privacy, Unavailable
from nesa.chain.admissions import SeatAttestations
from nesa.chain.keystore import load_keystore, read_password_file
from nesa.chain.unadmitted import unadmitted_seats
from nesa.cli.compiling import recut
from nesa.cli.demo.cast import Question
from nesa.client.registering import Terms
from nesa.devnet.examples import compile_contract, deploy_code
from nesa.devnet.layout import find_clone
from nesa.devnet.models import PublishedModel
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator, Seat
from nesa.models.folder import load, save
from nesa.models.publish import publish
from nesa.protocol.ids import Address, Amount, Digest, Timestamp, VersionId
from tests.end_to_end.processes import until
from tests.end_to_end.test_disputes import until as eventually
from tests.end_to_end.test_disputes import watching
from tests.end_to_end.test_queries import is_right

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.deep]

SOURCE = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
EVIDENCE = Digest(keccak(text="a quote that was checked elsewhere"))
DAY = 24 * 3600


@dataclass(frozen=True)
class AttestedVersion:
    """The version, and the contract that says who may sit in it."""

    published: PublishedModel
    statements: SeatAttestations
    attestor: Client


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def attested(
    devnet: Devnet, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AttestedVersion]:
    """The developer of the network is the attestor; every miner is stated and takes a seat."""
    folder = tmp_path_factory.mktemp("attested")
    files: KeyFile = devnet.foundation.people.developer.files
    account = load_keystore(files.keystore, read_password_file(files.password_file))
    creation = await compile_contract(
        find_clone(), find_clone().root / "contracts/registry/SeatAttestations.vy"
    )
    vault = client.connection.deployment.vault
    place, _ = await deploy_code(
        client.connection, account, creation, ("address", "address"), (vault, account.address)
    )
    async with Client.connect(devnet.layout.network, key=account) as attestor:
        statements = SeatAttestations(client.connection, place)
        yield await seated(devnet, attestor, statements, 2, devnet.miners, folder)


async def seated(
    devnet: Devnet,
    attestor: Client,
    statements: SeatAttestations,
    shards: int,
    miners: Sequence[Operator],
    folder: Path,
) -> AttestedVersion:
    """A version of so many shards, in which these miners sit by turns and may be drawn."""
    save(recut(load(SOURCE), shards), folder / "model")
    location = publish(folder / "model", folder / "store", str(folder / "store"))
    terms = Terms(Amount(10**7), Amount(0), 0, location, statements.address)
    version = await attestor.developer().register(folder / "model", terms)
    published = PublishedModel(load(folder / "model"), folder / "model", version)
    made = AttestedVersion(published, statements, attestor)
    for number, miner in enumerate(miners):
        await state(made, Address(miner.owner))
        await devnet.founder.register(miner, Seat(published, number % shards))
    await until(lambda: all(is_ready(devnet, miner, version) for miner in miners))
    vault, slots = attestor.contracts.vault, range(len(miners) // shards)

    async def may_be_drawn() -> bool:
        epoch = await vault.epoch(at="latest")
        found = [await vault.seats(version, one, slots, at="latest") for one in range(shards)]
        return all(seat.from_epoch <= epoch for seats in found for seat in seats)

    await eventually(may_be_drawn)
    return made


def is_ready(devnet: Devnet, miner: Operator, version: VersionId) -> bool:
    """Whether a miner has loaded its shard of a version."""
    log = devnet.layout.log(miner.name).read_text("utf-8", "replace")
    return any("shard ready" in line and version.hex() in line for line in log.splitlines())


async def state(version: AttestedVersion, operator: Address) -> None:
    """State the keys that the vault has for an operator."""
    client = version.attestor
    record = await client.contracts.vault.operator(operator, at="latest")
    until_when = Timestamp((await client.connection.head()).timestamp + DAY)
    keys = (operator, record.signer, record.next_encryption_key)
    await client.attestor(version.statements.address).send(
        version.statements.attest(*keys, EVIDENCE, until_when)
    )


async def test_attested_seats_answer_who_asks_for_them(
    client: Client, model: Model, attested: AttestedVersion
) -> None:
    place = attested.statements.address
    mine = await client.model(f"0x{attested.published.version_id.hex()}")
    question = Question.from_row(attested.published, 7)
    plan = await client.plan(mine, privacy=Auto("personal"), attested=place)
    assert "in enclaves, as far as" in plan.explanation.readers
    answer = await client.ask(mine, question.features, privacy=Auto("personal"), attested=place)
    assert isinstance(answer, Answer)
    assert is_right(answer, question)
    assert answer.privacy is Privacy.SEALED
    with pytest.raises(InvalidInput, match="seats everybody"):
        await client.ask(model, question.features, attested=place)


async def test_a_seat_that_is_attested_no_more_is_not_asked(
    client: Client, devnet: Devnet, attested: AttestedVersion
) -> None:
    place = attested.statements.address
    mine = await client.model(f"0x{attested.published.version_id.hex()}")
    operator = await client.contracts.vault.operator(Address(devnet.miners[0].owner), at="latest")
    revoked = await attested.attestor.attestor(place).revoke(operator.address)
    assert (operator.signer, operator.next_encryption_key) in revoked
    before = (await client.balance()).nes
    with pytest.raises(Unavailable, match="is attested no more and may still be drawn"):
        await client.ask(mine, Question.from_row(attested.published, 7).features, attested=place)
    assert (await client.balance()).nes == before
    question = Question.from_row(attested.published, 7)
    answer = await client.ask(mine, question.features, privacy="sealed")
    assert is_right(answer, question)
    unpaid = {member.operator for member in answer.committee if not member.paid}
    assert operator.address in unpaid, "it was given no key"
    await state(attested, operator.address)
    assert (await client.plan(mine, privacy=Auto("personal"), attested=place)).attested == place


async def test_a_watchtower_ends_the_seat_and_the_others_answer(
    client: Client, devnet: Devnet, attested: AttestedVersion, tmp_path: Path
) -> None:
    """Nobody has to do anything: it looks when it starts, and every ten minutes."""
    attestor, statements = attested.attestor, attested.statements
    mine = await seated(devnet, attestor, statements, 1, devnet.miners[:5], tmp_path)
    version, contracts = mine.published.version_id, client.contracts
    operator = await contracts.vault.operator(Address(devnet.miners[0].owner), at="latest")
    await attestor.attestor(statements.address).revoke(operator.address)

    async def is_ended() -> bool:
        return all(seat.is_ended for seat in await unadmitted_seats(contracts, version))

    async def is_drawn_no_more() -> bool:
        return not await unadmitted_seats(contracts, version)

    assert not await is_ended()
    async with watching(devnet, client, evicts=True):
        await eventually(is_ended)
    await eventually(is_drawn_no_more)
    question = Question.from_row(mine.published, 7)
    model = await client.model(f"0x{version.hex()}")
    answer = await client.ask(model, question.features, attested=statements.address)
    assert is_right(answer, question)
    assert operator.address not in {member.operator for member in answer.committee}
