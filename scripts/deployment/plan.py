"""Which contracts are deployed in which order, and what each is told about the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Any, Final

from nesa.chain.deployment import Deployment
from nesa.protocol.ids import Address, BlockNumber
from scripts.deployment.profiles import GENESIS_SUPPLY, Profile

Deployed = Mapping[str, Address]
"""Addresses so far, by the name that `Deployment` gives them."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who holds what at the start."""

    deployer: Address
    genesis_holder: Address
    treasury: Address
    reviewer_pool: Address


@dataclass(frozen=True, slots=True)
class Step:
    """One contract: its name in `Deployment`, its Vyper contract, its constructor arguments."""

    name: str
    contract: str
    arguments: Callable[[Profile, Accounts, Deployed], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Naming:
    """A contract below is told who stands above it: its name, its Vyper contract, the function, and
    the name of whom it is told."""

    name: str
    contract: str
    function: str
    told: str


STEPS: Final = (
    Step(
        "token",
        "NesToken",
        lambda profile, accounts, at: (accounts.genesis_holder, GENESIS_SUPPLY),
    ),
    Step(
        "parameters",
        "ProtocolParameters",
        lambda profile, accounts, at: (
            astuple(profile.query),
            astuple(profile.limits),
            accounts.treasury,
            accounts.reviewer_pool,
            profile.maximum_query_seconds,
        ),
    ),
    Step("router", "ProofRouter", lambda profile, accounts, at: ()),
    Step("registry", "ModelRegistry", lambda profile, accounts, at: (at["router"],)),
    Step("allow_list", "AllowList", lambda profile, accounts, at: (at["registry"],)),
    Step(
        "vault",
        "StakeVault",
        lambda profile, accounts, at: (
            at["token"],
            at["registry"],
            at["parameters"],
            profile.epoch_seconds,
            profile.unbonding_seconds,
            accounts.deployer,
        ),
    ),
    Step(
        "delegation_pool",
        "DelegationPool",
        lambda profile, accounts, at: (at["token"], at["vault"]),
    ),
    Step(
        "committee",
        "Committee",
        lambda profile, accounts, at: (at["vault"], at["registry"], at["router"]),
    ),
    Step(
        "pricing",
        "Pricing",
        lambda profile, accounts, at: (at["parameters"], at["registry"], at["vault"]),
    ),
    Step(
        "market",
        "QueryMarket",
        lambda profile, accounts, at: (
            at["token"],
            at["parameters"],
            at["vault"],
            at["committee"],
            at["pricing"],
            profile.credit_window,
        ),
    ),
    Step(
        "summons",
        "Summons",
        lambda profile, accounts, at: (
            at["token"],
            at["market"],
            at["committee"],
            at["vault"],
            astuple(profile.summons),
        ),
    ),
    Step(
        "sessions",
        "SharedSessions",
        lambda profile, accounts, at: (
            at["token"],
            at["parameters"],
            at["registry"],
            at["vault"],
            at["committee"],
            profile.credit_window,
        ),
    ),
    Step("fold_judge", "FoldJudge", lambda profile, accounts, at: ()),
    Step("element_judge", "ElementJudge", lambda profile, accounts, at: ()),
    Step(
        "conviction",
        "Conviction",
        lambda profile, accounts, at: (at["fold_judge"], at["element_judge"]),
    ),
    Step("game", "ElementGame", lambda profile, accounts, at: ()),
    Step(
        "court",
        "DisputeCourt",
        lambda profile, accounts, at: (
            at["token"],
            at["parameters"],
            at["registry"],
            at["router"],
            at["vault"],
            at["market"],
            at["sessions"],
            at["game"],
            at["conviction"],
        ),
    ),
    Step("gas_escrow", "GasEscrow", lambda profile, accounts, at: (at["market"],)),
    Step(
        "reward_emitter",
        "RewardEmitter",
        lambda profile, accounts, at: (
            at["token"],
            at["market"],
            at["vault"],
            at["delegation_pool"],
            *astuple(profile.emission),
        ),
    ),
)
"""Bottom up: nothing is told an address that is not there yet."""

NAMINGS: Final = (
    Naming("vault", "StakeVault", "set_slasher", "court"),
    Naming("vault", "StakeVault", "set_summoner", "summons"),
    Naming("vault", "StakeVault", "set_delegation_pool", "delegation_pool"),
    Naming("market", "QueryMarket", "set_court", "court"),
    Naming("token", "NesToken", "set_minter", "reward_emitter"),
)
"""What the deployer tells the contracts once all of them are there. Each works once, so that nobody
is left with a right when the deployment is done."""


def deployment(chain_id: int, block: BlockNumber, deployed: Deployed) -> Deployment:
    """The file that tells everybody where the contracts are that anybody calls."""
    called = {name: at for name, at in deployed.items() if name in Deployment.model_fields}
    return Deployment.model_validate({"chain_id": chain_id, "block": block, **called})


def interrupted(step: Step | Naming, deployed: Deployed, error: Exception) -> str:
    """What a deployment that ended at `step` tells: why, and what is on the chain by then."""
    said = f"{step.contract} {_undone(step)}: {error}"
    if not deployed:
        return f"{said}; nothing is on the chain"
    there = ", ".join(f"{name} {address}" for name, address in deployed.items())
    return (
        f"{said}; no deployment file was written. On the chain, and of no use alone: {there}. "
        "Run the command again for a whole new set"
    )


def _undone(step: Step | Naming) -> str:
    match step:
        case Step():
            return "was not deployed"
        case Naming(function=function):
            return f"did not take {function}"
