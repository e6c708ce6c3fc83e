"""An operator gets another encryption key: nothing that was sealed to the old one is lost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nesa.privacy.key_rotation import former_key_paths, replace_key
from nesa.privacy.keys import generate_key, load_key, public_bytes
from nesa.protocol.ids import Address, Epoch
from nesa_miner import cli
from nesa_miner.identity import Identity
from nesa_miner.keys import open_identity
from nesa_miner.registrations import KeyChange, encryption_keys_of
from nesa_miner.rekeying import forget_retired, retired_from
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.network import PASSWORD

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def registered(miner: OwnedMiner) -> OwnedMiner:
    miner.pay()
    assert miner.register() == 0
    return miner


def rotate(miner: OwnedMiner, capsys: Capture, *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.main(["rotate-encryption-key", "--dir", str(miner.folder), "--json", *words]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def opened(miner: OwnedMiner) -> Identity:
    return open_identity(miner.folder, miner.settings, PASSWORD)


def publics(keys: tuple[X25519PrivateKey, ...]) -> list[bytes]:
    return [public_bytes(key) for key in keys]


def forget(miner: OwnedMiner, identity: Identity) -> int:
    async def look() -> int:
        async with miner.network.connect() as connection:
            path = miner.folder / miner.settings.encryption_keystore
            return await forget_retired(connection, identity, path)

    return asyncio.run(look())


def pass_epochs(miner: OwnedMiner, number: int) -> None:
    miner.network.pass_time(number * miner.network.read("vault", "epoch_seconds"))


def test_both_keys_are_kept_and_the_new_one_is_named(
    registered: OwnedMiner, capsys: Capture
) -> None:
    before = public_bytes(registered.identity.encryption)
    epoch = registered.network.read("vault", "epoch")
    said = rotate(registered, capsys)
    new, *former = publics(opened(registered).keys)
    assert former == [before]
    assert (said["before"], said["encryption"]) == (f"0x{before.hex()}", f"0x{new.hex()}")
    # An epoch may begin in between.
    assert epoch + 2 <= said["from_epoch"] <= registered.network.read("vault", "epoch") + 2
    operator = registered.network.read("vault", "operator", registered.owner.address)
    last = said["from_epoch"] - 1
    assert (operator.encryption_key_at(last), operator.next_encryption_key) == (before, new)


def test_a_rotation_under_way_is_only_described(registered: OwnedMiner, capsys: Capture) -> None:
    first, again = rotate(registered, capsys), rotate(registered, capsys)
    assert {**again, "used_in_seconds": 0} == {**first, "used_in_seconds": 0}
    assert len(opened(registered).keys) == 2


def test_a_rotation_that_was_killed_before_the_chain_is_finished(
    registered: OwnedMiner, capsys: Capture
) -> None:
    """The key lies on the disk, and the node was away."""
    node = registered.settings.rpc_url
    path = registered.folder / registered.settings.encryption_keystore
    key = generate_key()
    replace_key(path, key, PASSWORD)
    registered.change(rpc_url="http://127.0.0.1:1")
    rotate(registered, capsys, code=1)
    registered.change(rpc_url=node)
    code, checks = registered.examined(capsys)
    assert code == 1
    assert "a rotation of the encryption key was broken off" in checks["operator"]["text"]
    said = rotate(registered, capsys)
    assert said["encryption"] == f"0x{public_bytes(key).hex()}"
    assert len(opened(registered).keys) == 2
    _, checks = registered.examined(capsys)
    assert checks["operator"]["verdict"] == "ok"


def test_the_old_key_is_forgotten_once_nothing_can_need_it(
    registered: OwnedMiner, capsys: Capture
) -> None:
    rotate(registered, capsys)
    identity, path = opened(registered), registered.folder / registered.settings.encryption_keystore
    (kept,) = former_key_paths(path)
    stored = kept.read_bytes()
    kept.with_name("witness").hardlink_to(kept)
    pass_epochs(registered, 2)
    assert forget(registered, identity) == 0, "queries of its epochs may be open"
    registered.network.pass_time(registered.network.read("vault", "unbonding_seconds"))
    assert forget(registered, identity) == 1
    assert (identity.former, former_key_paths(path)) == ([], [])
    assert kept.with_name("witness").read_bytes() != stored, "the bytes are overwritten"
    assert forget(registered, identity) == 0


def test_the_doctor_knows_a_key_that_is_lost(registered: OwnedMiner, capsys: Capture) -> None:
    rotate(registered, capsys)
    path = registered.folder / registered.settings.encryption_keystore
    (kept,) = former_key_paths(path)
    kept.rename(kept.with_name("elsewhere"))
    _, checks = registered.examined(capsys)
    assert "queries are sealed to a key that is not here" in checks["operator"]["text"]
    pass_epochs(registered, 2)
    _, checks = registered.examined(capsys)
    assert checks["operator"]["verdict"] == "ok"


def test_a_successor_takes_the_former_keys_along(registered: OwnedMiner, capsys: Capture) -> None:
    rotate(registered, capsys)
    successor = registered.folder.with_name("second")
    words = ["rotate-signer", str(successor), "--dir", str(registered.folder), "--port", "8702"]
    assert cli.main([*words, "--light-keys"]) == 0
    second = open_identity(successor, registered.settings, PASSWORD)
    assert publics(second.keys) == publics(opened(registered).keys)


def test_who_is_no_operator_rotates_nothing(miner: OwnedMiner, capsys: Capture) -> None:
    path = miner.folder / miner.settings.encryption_keystore
    said = rotate(miner, capsys, code=1)
    assert "`nesa-miner register` makes it one" in said["error"]["message"]
    assert public_bytes(load_key(path, PASSWORD)) == public_bytes(miner.identity.encryption)
    assert not former_key_paths(path)


def test_the_chain_tells_every_key_in_order(registered: OwnedMiner, capsys: Capture) -> None:
    rotate(registered, capsys)

    async def read() -> tuple[KeyChange, ...]:
        async with registered.network.connect() as connection:
            return await encryption_keys_of(connection, Address(registered.owner.address))

    new, old = publics(opened(registered).keys)
    assert [change.encryption_key for change in asyncio.run(read())] == [old, new]


HISTORY = [KeyChange(bytes([number]), Epoch(10 * number)) for number in (1, 2, 1, 3)]


@pytest.mark.parametrize(("key", "epoch"), [(1, 30), (2, 10), (3, None), (4, None)])
def test_a_key_is_retired_by_the_one_behind_it(key: int, epoch: int | None) -> None:
    """A key that came back counts from its last time; one that was never named stays."""
    assert retired_from(bytes([key]), HISTORY) == epoch
