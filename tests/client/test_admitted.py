"""Who is given the key of a sealed query of a version that does not admit everybody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eth_account import Account

from nesa import Client, Model
from nesa.chain.committees import Seat
from nesa.cli.compiling import recut
from nesa.client.registering import Terms
from nesa.client.sealing import admitted
from nesa.models.folder import load, save
from nesa.protocol.ids import Address, Amount
from tests.client.conftest import MLP
from tests.client.strangers import chain_put_back

MODEL = Path(__file__).parents[2] / "models" / MLP


def seat(slot: int) -> Seat:
    account = Address(Account.create().address)
    return Seat(slot, account, account, "http://127.0.0.1:1", bytes(32))


async def test_whoever_is_admitted_no_more_is_given_no_key(
    client: Client, model: Model, tmp_path: Path
) -> None:
    """A seat outlives its admission until somebody ends it."""
    stays, leaves = seats = [seat(0), seat(1)]
    contracts, allow_list = client.contracts, client.connection.deployment.allow_list
    assert allow_list is not None
    save(recut(load(MODEL), 1), tmp_path)
    terms = Terms(Amount(1), Amount(0), 0, str(tmp_path), allow_list)
    async with chain_put_back(client):
        version = await client.developer().register(tmp_path, terms)
        assert await admitted(contracts, version, seats) == []
        await client.developer().allow(version, [stays.operator, leaves.operator])
        assert await admitted(contracts, version, seats) == seats
        await client.developer().allow(version, [stays.operator])
        assert await admitted(contracts, version, seats) == [stays]
        changed = replace(stays, encryption_key=b"\1" * 32)
        assert await admitted(contracts, version, [changed]) == [], "its key is another by now"
    assert await admitted(contracts, model.version_id, seats) == seats, "everybody may sit there"
