"""The order of contracts and both profiles of parameters fit the contracts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import boa
import click
import pytest

from nesa.devnet.sources import compile_once, is_compiled, mark_compiled, sources_digest
from nesa.protocol.errors import InvalidConfiguration, InvalidInput
from nesa.protocol.ids import Address, BlockNumber
from scripts.deployment.options import AddressType, free_path
from scripts.deployment.plan import NAMINGS, STEPS, Accounts, deployment, interrupted
from scripts.deployment.profiles import DEVNET, PROFILES, PUBLIC, Profile, choose_profile
from tests.deployment import ROOT, deployer

CONTRACTS = ROOT / "contracts"

PATHS = {
    path.stem: str(path.relative_to(CONTRACTS).with_suffix("")) for path in CONTRACTS.glob("*/*.vy")
}
"""Every contract's path below `contracts/`."""


def accounts() -> Accounts:
    made = [Address(boa.env.generate_address()) for _ in range(4)]
    return Accounts(*made)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_every_constructor_accepts_the_profile(profile: Profile) -> None:
    who = accounts()
    deployed: dict[str, Address] = {}
    contracts: dict[str, Any] = {}
    with boa.env.prank(who.deployer):
        for step in STEPS:
            contract = deployer(PATHS[step.contract])
            made = contract.deploy(*step.arguments(profile, who, deployed))
            deployed[step.name] = Address(made.address)
            contracts[step.name] = made
        for naming in NAMINGS:
            getattr(contracts[naming.name], naming.function)(deployed[naming.told])
    named = deployment(31337, BlockNumber(1), deployed).contracts()
    assert named == {name: deployed[name] for name in named}
    assert contracts["vault"].slasher() == contracts["market"].court() == deployed["court"]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_three_attempts_fit_or_the_market_says_no(profile: Profile) -> None:
    windows = profile.query.claim_window + profile.query.dispute_window
    assert profile.query.answer_window + windows <= profile.maximum_query_seconds
    assert profile.unbonding_seconds >= profile.maximum_query_seconds + profile.epoch_seconds


def test_local_chains_get_seconds_and_others_days() -> None:
    assert choose_profile(31337) is DEVNET
    assert choose_profile(11155111) is PUBLIC
    assert choose_profile(31337, "public") is PUBLIC


def test_a_public_chain_refuses_windows_of_seconds() -> None:
    with pytest.raises(InvalidInput, match="--profile public"):
        choose_profile(1, "devnet")


def test_a_changed_module_is_compiled_again(tmp_path: Path) -> None:
    contracts, stamp = tmp_path / "contracts", tmp_path / "stamp"
    (contracts / "lib").mkdir(parents=True)
    (contracts / "Market.vy").write_text("from .lib import fees")
    (contracts / "lib" / "fees.vy").write_text("FEE: constant(uint256) = 1")
    assert not is_compiled(contracts, stamp)
    mark_compiled(contracts, stamp, sources_digest(contracts))
    assert is_compiled(contracts, stamp)
    (contracts / "lib" / "fees.vy").write_text("FEE: constant(uint256) = 2")
    assert not is_compiled(contracts, stamp)


def test_sources_that_change_while_they_are_compiled_are_not_marked(tmp_path: Path) -> None:
    contracts, stamp = tmp_path / "contracts", tmp_path / "stamp"
    contracts.mkdir()
    (contracts / "Market.vy").write_text("a")
    digest = sources_digest(contracts)
    (contracts / "Market.vy").write_text("b")
    mark_compiled(contracts, stamp, digest)
    assert not stamp.exists()


def test_of_two_that_compile_at_once_one_does_it(tmp_path: Path) -> None:
    contracts, stamp = tmp_path / "contracts", tmp_path / "build" / "stamp"
    contracts.mkdir()
    (contracts / "Market.vy").write_text("a")
    both_begin, both_compile = Barrier(2), Barrier(2)

    def compile_all() -> None:
        # Without the lock both would meet here.
        with pytest.raises(BrokenBarrierError):
            both_compile.wait(timeout=0.5)

    def command(_: int) -> bool:
        both_begin.wait(timeout=60)
        return compile_once(contracts, stamp, compile_all)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(command, range(2))) == [False, True]
    assert is_compiled(contracts, stamp)


SOMEBODY = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.mark.parametrize("value", [SOMEBODY, SOMEBODY.lower()])
def test_an_account_is_read_in_any_case(value: str) -> None:
    assert AddressType().convert(value, None, None) == SOMEBODY


@pytest.mark.parametrize("value", ["", "0x12", "0x" + "00" * 20, "0x" + SOMEBODY[2:].swapcase()])
def test_what_is_no_account_is_refused_by_the_options_name(value: str) -> None:
    option = click.Option(["--owner"], type=AddressType())
    with pytest.raises(click.BadParameter) as caught:
        option.type.convert(value, option, None)
    assert "Invalid value for '--owner'" in caught.value.format_message()


def test_a_deployment_takes_the_place_of_another_only_when_told(tmp_path: Path) -> None:
    path = free_path(tmp_path / "new", 5, replace=False)
    assert path == tmp_path / "new" / "5.json"
    path.write_text("{}")
    assert free_path(tmp_path / "new", 5, replace=True) == path
    assert free_path(tmp_path / "new", 6, replace=False).name == "6.json"
    with pytest.raises(InvalidConfiguration, match="--replace"):
        free_path(tmp_path / "new", 5, replace=False)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidConfiguration, match="cannot make the folder"):
        free_path(tmp_path / "file" / "below", 5, replace=False)


def test_an_interruption_tells_what_is_there() -> None:
    nothing = interrupted(STEPS[0], {}, ValueError("no funds"))
    assert nothing == "NesToken was not deployed: no funds; nothing is on the chain"
    said = interrupted(STEPS[1], {"token": Address(SOMEBODY)}, ValueError("no funds"))
    assert "ProtocolParameters was not deployed: no funds" in said
    assert f"token {SOMEBODY}" in said


def test_a_contract_that_was_not_told_is_named() -> None:
    said = interrupted(NAMINGS[0], {"token": Address(SOMEBODY)}, ValueError("no funds"))
    assert said.startswith("StakeVault did not take set_slasher: no funds; no deployment")
