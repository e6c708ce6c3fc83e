"""The order of contracts and both profiles of parameters fit the contracts."""

from __future__ import annotations

from pathlib import Path

import boa
import pytest

from nesa.devnet.sources import is_compiled, mark_compiled, sources_digest
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address, BlockNumber
from scripts.deployment.plan import STEPS, Accounts, deployment
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
    with boa.env.prank(who.deployer):
        for step in STEPS:
            contract = deployer(PATHS[step.contract])
            made = contract.deploy(*step.arguments(profile, who, deployed))
            deployed[step.name] = Address(made.address)
    assert deployment(31337, BlockNumber(1), deployed).contracts() == deployed


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
