"""The order of contracts and both profiles of parameters fit the contracts."""

from __future__ import annotations

import boa
import pytest

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
    who, deployed = accounts(), {}
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
