"""Seats of whom a list names no more are ended, whatever other developers' contracts do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from nesa import Client
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Network
from nesa.chain.keystore import create_keystore
from nesa.chain.sender import Intent, OnIntent, Sender, forget
from nesa.chain.unadmitted import EVICTION_GAS, unadmitted_seats
from nesa.cli.compiling import recut
from nesa.cli.main import main as nesa
from nesa.client.evicting import EvictionOutcome
from nesa.client.registering import Developer, Terms
from nesa.models.folder import load, save
from nesa.models.publish import publish
from nesa.protocol.errors import NesaError
from nesa.protocol.ids import Address, Amount, VersionId
from nesa_miner.config import read_settings
from nesa_miner.founding import Listening, Place, found_miner
from nesa_miner.keys import open_identity, open_owner
from nesa_miner.watchtower.admission_costs import DAY_SECONDS, FAIR_GAS
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.network import HOLDER, MODEL, PASSWORD, LocalNetwork
from tests.miner.operating.sweeping import REST, open_slots, sweep

CUSTOM = Address("0x00000000000000000000000000000000C0DEAD00")
"""Where a contract of a developer's own is."""

ADMITS_ALL = "0x60015f5260205ff3"
BURNS_ALL_GAS = "0xfe"
ADMITS_WHOEVER_PAYS = "0x3a15155f5260205ff3"
"""Nobody when it is asked, for then gas has no price; everybody in a transaction."""


def admits_nobody(gas: int) -> str:
    """Code that answers no after burning about so much, by a loop of 26 gas a round."""
    return f"0x62{gas // 26 + 1:06x}5b60019003806004575f5f5260205ff3"


def register(network: LocalNetwork, folder: Path, shards: int, admission: Address) -> VersionId:
    """A version with an admission, from the holder."""
    save(recut(load(MODEL), shards), folder)
    location = publish(folder, network.store, str(network.store))

    async def send() -> VersionId:
        async with network.connect() as connection:
            developer = Developer(connection, Sender(connection, HOLDER))
            return await developer.register(
                folder, Terms(Amount(10), Amount(10), 0, location, admission)
            )

    return asyncio.run(send())


def allow(network: LocalNetwork, version: VersionId, *operators: str) -> None:
    """List these operators, and no others."""

    async def send() -> None:
        async with network.connect() as connection:
            developer = Developer(connection, Sender(connection, HOLDER))
            await developer.allow(version, [Address(one) for one in operators])

    asyncio.run(send())


def seat_in(network: LocalNetwork, version: VersionId, *miners: OwnedMiner) -> None:
    """Each takes the next seat of shard 0."""
    for one in miners:
        one.pay()
        assert replace(one, network=replace(network, version_id=version)).register() == 0


def paid_for(network: LocalNetwork) -> int:
    """Transactions of the account that the watchtower uses here."""
    return int(network.anvil.rpc("eth_getTransactionCount", HOLDER.address, "latest"), 16)


def paying(folder: Path) -> list[str]:
    """Options of a command that the holder pays for."""
    create_keystore(folder / "key.json", "holder's own", bytes(HOLDER.key), cost=2**10)
    (folder / "password").write_text("holder's own")
    (folder / "password").chmod(0o600)
    return ["--keystore", str(folder / "key.json"), "--password-file", str(folder / "password")]


@pytest.fixture
def custom(network: LocalNetwork, tmp_path: Path) -> Iterator[VersionId]:
    """A version, older than the others, whose developer's contract admits everybody as yet."""
    network.anvil.rpc("anvil_setCode", CUSTOM, ADMITS_ALL)
    yield register(network, tmp_path / "custom", 1, CUSTOM)
    network.anvil.rpc("anvil_setCode", CUSTOM, "0x")


@pytest.fixture
def other(network: LocalNetwork, miner: OwnedMiner, tmp_path: Path) -> OwnedMiner:
    """A second operator's miner, which is never run."""
    folder = tmp_path / "other"
    place = Place(network.anvil.url, network.deployment)
    listening = Listening("http://127.0.0.1:8702", "127.0.0.1", 8702)
    found_miner(folder, place, listening, (str(network.store),), PASSWORD, light_keys=True)
    settings = read_settings(folder)
    identity = open_identity(folder, settings, PASSWORD)
    return OwnedMiner(folder, network, identity, open_owner(folder, settings, PASSWORD))


@pytest.fixture
def listed(
    network: LocalNetwork, custom: VersionId, miner: OwnedMiner, tmp_path: Path
) -> VersionId:
    """A version with a list, in which the miner has a seat."""
    lists = network.deployment.allow_list
    assert lists is not None
    version = register(network, tmp_path / "listed", 2, lists)
    allow(network, version, HOLDER.address, miner.owner.address)
    seat_in(network, version, miner)
    return version


def test_a_struck_operators_seat_is_ended_though_another_contract_fails(
    network: LocalNetwork, custom: VersionId, listed: VersionId, miner: OwnedMiner
) -> None:
    """The failing one is asked first. Whoever is on the next list too stays."""
    seat_in(network, custom, miner)
    network.anvil.rpc("anvil_setCode", CUSTOM, BURNS_ALL_GAS)
    allow(network, listed, miner.owner.address)
    asyncio.run(sweep(network))
    assert open_slots(network, listed) == [0]
    allow(network, listed, HOLDER.address)
    asyncio.run(sweep(network))
    assert open_slots(network, listed) == []


def leaving(network: LocalNetwork, version: VersionId, miner: OwnedMiner) -> OnIntent:
    """The miner in slot 0 leaves just before its eviction."""

    async def leave(intent: Intent) -> None:
        async with network.connect() as connection:
            vault = Contracts(connection).vault
            if intent.call == vault.evict(version, 0, 0):
                await Sender(connection, miner.owner).send(vault.leave_seat(version, 0, 0))

    return leave


def test_who_leaves_before_its_eviction_keeps_no_other_seat(
    network: LocalNetwork, listed: VersionId, miner: OwnedMiner, other: OwnedMiner
) -> None:
    """Its eviction is refused and paid for; the next seat is ended in the same sweep."""
    allow(network, listed, HOLDER.address, miner.owner.address, other.owner.address)
    seat_in(network, listed, other)
    assert open_slots(network, listed) == [0, 1]
    allow(network, listed, HOLDER.address)

    before = paid_for(network)
    asyncio.run(sweep(network, on_intent=leaving(network, listed, miner)))
    assert paid_for(network) == before + 2
    assert open_slots(network, listed) == []


def test_a_contract_that_has_evictions_paid_and_refused_costs_one_a_day(
    network: LocalNetwork, custom: VersionId, miner: OwnedMiner
) -> None:
    seat_in(network, custom, miner)
    network.anvil.rpc("anvil_setCode", CUSTOM, ADMITS_WHOEVER_PAYS)
    before, moments = paid_for(network), accumulate([REST + 1] * 10_000)
    asyncio.run(sweep(network, 5, lambda: next(moments)))
    assert paid_for(network) == before + 1
    days = accumulate([DAY_SECONDS + 1] * 10_000)
    asyncio.run(sweep(network, 2, lambda: next(days)))
    assert paid_for(network) == before + 3
    assert open_slots(network, custom) == [0]


def test_a_contract_that_makes_evictions_dear_has_one_a_day_over_all_its_versions(
    network: LocalNetwork,
    custom: VersionId,
    miner: OwnedMiner,
    other: OwnedMiner,
    tmp_path: Path,
) -> None:
    """Though each of them succeeds."""
    second = register(network, tmp_path / "second", 2, CUSTOM)
    seat_in(network, custom, miner, other)
    seat_in(network, second, miner)
    network.anvil.rpc("anvil_setCode", CUSTOM, admits_nobody(FAIR_GAS))
    before, moments = paid_for(network), accumulate([REST + 1] * 10_000)
    asyncio.run(sweep(network, 5, lambda: next(moments)))
    assert paid_for(network) == before + 1
    assert open_slots(network, custom) == [1]
    network.anvil.rpc("anvil_setCode", CUSTOM, admits_nobody(0))
    asyncio.run(sweep(network))
    assert (open_slots(network, custom), open_slots(network, second)) == ([], [])


def test_contracts_of_developers_cost_no_more_than_the_days_gas(
    network: LocalNetwork, custom: VersionId, listed: VersionId, miner: OwnedMiner
) -> None:
    """The network's own list is not among them. Another day has gas of its own."""
    seat_in(network, custom, miner)
    network.anvil.rpc("anvil_setCode", CUSTOM, admits_nobody(0))
    allow(network, listed, HOLDER.address)
    asyncio.run(sweep(network, gas_a_day=EVICTION_GAS - 1))
    assert (open_slots(network, custom), open_slots(network, listed)) == ([0], [])
    asyncio.run(sweep(network, gas_a_day=EVICTION_GAS))
    assert open_slots(network, custom) == []


def test_who_is_admitted_is_asked_with_a_limit(
    network: LocalNetwork, custom: VersionId, miner: OwnedMiner
) -> None:
    async def ask() -> int:
        async with network.connect() as connection:
            return len(await unadmitted_seats(Contracts(connection), custom))

    seat_in(network, custom, miner)
    network.anvil.rpc("anvil_setCode", CUSTOM, admits_nobody(EVICTION_GAS // 2))
    assert asyncio.run(ask()) == 1
    network.anvil.rpc("anvil_setCode", CUSTOM, admits_nobody(2 * EVICTION_GAS))
    with pytest.raises(NesaError):
        asyncio.run(ask())


async def evict_all(
    network: LocalNetwork, version: VersionId, on_intent: OnIntent = forget
) -> EvictionOutcome:
    """What a client that the holder pays for ends."""
    description = Network(rpc_url=network.anvil.url, chain_id=31337, contracts=network.deployment)
    async with Client.connect(description, key=HOLDER, on_intent=on_intent) as client:
        return await client.end_unadmitted_seats(f"0x{version.hex()}")


def test_anybody_may_end_the_seats_of_a_version(
    network: LocalNetwork, custom: VersionId, listed: VersionId
) -> None:
    allow(network, listed, HOLDER.address)

    def end(version: VersionId) -> list[int]:
        return [seat.slot for seat in asyncio.run(evict_all(network, version)).ended]

    assert end(custom) == []
    assert end(listed) == [0]
    assert end(listed) == []


def test_who_ends_seats_pays_for_one_that_is_refused_and_is_told(
    network: LocalNetwork, custom: VersionId, miner: OwnedMiner, other: OwnedMiner
) -> None:
    seat_in(network, custom, miner, other)
    network.anvil.rpc("anvil_setCode", CUSTOM, ADMITS_WHOEVER_PAYS)
    before = paid_for(network)
    evictions = asyncio.run(evict_all(network, custom))
    assert paid_for(network) == before + 1
    assert evictions.ended == ()
    assert [seat.slot for seat in evictions.refused] == [0]
    assert evictions.stands == evictions.refused[0]
    assert 21_000 < evictions.gas < EVICTION_GAS
    assert open_slots(network, custom) == [0, 1]


def test_the_command_says_what_was_paid_in_vain(
    network: LocalNetwork,
    custom: VersionId,
    miner: OwnedMiner,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seat_in(network, custom, miner)
    network.anvil.rpc("anvil_setCode", CUSTOM, ADMITS_WHOEVER_PAYS)
    description = Network(rpc_url=network.anvil.url, chain_id=31337, contracts=network.deployment)
    description.write(tmp_path / "network.json")
    options = paying(tmp_path)
    capsys.readouterr()
    words = ["model", "evict", f"0x{custom.hex()}", "--network", str(tmp_path / "network.json")]
    assert nesa([*words, *options, "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["ended"] == []
    assert [seat["operator"] for seat in found["refused"]] == [miner.owner.address]
    assert found["gas"] > 21_000
    assert "stopped at slot 0 of shard 0" in said.err


def test_a_client_gives_an_eviction_no_more_gas_than_the_limit(
    network: LocalNetwork, custom: VersionId, miner: OwnedMiner
) -> None:
    seat_in(network, custom, miner)
    limits: list[int] = []

    async def look(intent: Intent) -> None:
        limits.append(TypedTransaction.from_bytes(HexBytes(intent.raw)).as_dict()["gas"])

    network.anvil.rpc("anvil_setCode", CUSTOM, admits_nobody(0))
    assert len(asyncio.run(evict_all(network, custom, look)).ended) == 1
    assert limits == [EVICTION_GAS]


def test_a_client_goes_on_where_somebody_ended_a_seat_first(
    network: LocalNetwork, listed: VersionId, miner: OwnedMiner, other: OwnedMiner
) -> None:
    allow(network, listed, HOLDER.address, miner.owner.address, other.owner.address)
    seat_in(network, listed, other)
    allow(network, listed, HOLDER.address)
    evictions = asyncio.run(evict_all(network, listed, leaving(network, listed, miner)))
    assert [seat.slot for seat in evictions.refused] == [0]
    assert [seat.slot for seat in evictions.ended] == [1]
    assert evictions.stands is None
