"""Deploys the contracts on titanoboa for tests, bottom up."""

from __future__ import annotations

import gc
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import boa
from boa.contracts.vyper.vyper_contract import VyperContract, VyperDeployer

from nesa.chain.contracts import ZERO_ADDRESS
from nesa.protocol.circuits import CircuitKind, circuit_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST, Amount, Digest
from nesa.protocol.parameters import QueryParameters, RequestLimits
from nesa.protocol.summons import SummonsRules
from nesa.protocol.versions import ShardFacts

ROOT: Final = Path(__file__).parent.parent
CACHE: Final = ROOT / ".cache" / "boa"


def _brief(contract: VyperContract) -> str:
    return f"<{contract.contract_name} at {contract.address}>"


# At every revert titanoboa prints the storage of the contract; it takes long, and a key that is the
# hash of something else is taken for a place in a map of maps and fails the test.
VyperContract.__repr__ = _brief

GENESIS_SUPPLY: Final = 600_000_000 * ONE_NES
EPOCH_SECONDS: Final = 10
UNBONDING_SECONDS: Final = 300
MAXIMUM_QUERY_SECONDS: Final = 290

QUERY_PARAMETERS: Final = QueryParameters(
    miners_bps=7_000,
    oracle_bps=500,
    royalty_bps=0,
    reviewers_bps=300,
    oracle_turn=10,
    oracle_turns=3,
    prover_turn=15,
    prover_turns=3,
    answer_window=60,
    claim_window=30,
    dispute_window=120,
    defence_window=50,
    move_window=20,
)


REQUEST_LIMITS: Final = RequestLimits(
    callback_price=Amount(1_000),
    max_callback_gas=1_000_000,
    min_seats=4,
    seat_stake=Amount(1_000 * ONE_NES),
    exposure_bps=5_000,
    max_replicas=8,
    challenger_bond_bps=1_000,
    defence_penalty_bps=500,
)

SUMMONS_RULES: Final = SummonsRules(
    patience=15,
    answer_window=10,
    bond=ONE_NES,
    period=EPOCH_SECONDS,
    jail_misses=3,
    jail_periods=20,
)

INPUT_EDGE: Final = EdgeType(DType.INT8, (1, 4), -127, 127)
MIDDLE_EDGE: Final = EdgeType(DType.INT8, (1, 3), -127, 127)
OUTPUT_EDGE: Final = EdgeType(DType.INT16, (1, 2), -300, 300)

# Two shards without circuits.
SHARDS: Final = (
    ShardFacts((INPUT_EDGE,), (MIDDLE_EDGE,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST),
    ShardFacts((MIDDLE_EDGE,), (OUTPUT_EDGE,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST),
)


@dataclass(frozen=True, slots=True)
class LowerContracts:
    """Everything below the market, bound together."""

    token: VyperContract
    parameters: VyperContract
    router: VyperContract
    registry: VyperContract
    vault: VyperContract


@cache
def deployer(path: str) -> VyperDeployer:
    """Compiled contract at `path` below `contracts/`, without its extension."""
    return _load(ROOT / "contracts" / f"{path}.vy")


@cache
def harness(name: str) -> VyperDeployer:
    """Compiled harness of the tests."""
    return _load(ROOT / "tests" / "contracts" / "harness" / f"{name}.vy")


def load_harness(name: str, *arguments: Any) -> VyperContract:
    """A deployed harness of the tests."""
    return harness(name).deploy(*arguments)


def deploy_token(owner: str, genesis_holder: str) -> VyperContract:
    """NES, its genesis supply with `genesis_holder`."""
    with boa.env.prank(owner):
        return deployer("token/NesToken").deploy(genesis_holder, GENESIS_SUPPLY)


def deploy_parameters(
    owner: str,
    treasury: str,
    reviewer_pool: str,
    parameters: QueryParameters = QUERY_PARAMETERS,
    limits: RequestLimits = REQUEST_LIMITS,
) -> VyperContract:
    """Protocol parameters with a small profile."""
    with boa.env.prank(owner):
        return deployer("governance/ProtocolParameters").deploy(
            astuple(parameters), astuple(limits), treasury, reviewer_pool, MAXIMUM_QUERY_SECONDS
        )


def deploy_lower(
    owner: str,
    genesis_holder: str,
    treasury: str,
    reviewer_pool: str,
    slasher_setter: str,
    parameters: QueryParameters = QUERY_PARAMETERS,
    limits: RequestLimits = REQUEST_LIMITS,
) -> LowerContracts:
    """Everything below the market; the slasher is not set."""
    token = deploy_token(owner, genesis_holder)
    knobs = deploy_parameters(owner, treasury, reviewer_pool, parameters, limits)
    router = deployer("verification/ProofRouter").deploy()
    registry = deployer("registry/ModelRegistry").deploy(router)
    vault = deployer("staking/StakeVault").deploy(
        token, registry, knobs, EPOCH_SECONDS, UNBONDING_SECONDS, slasher_setter
    )
    return LowerContracts(token, knobs, router, registry, vault)


def register_version(
    registry: VyperContract,
    developer: str,
    shards: tuple[ShardFacts, ...] = SHARDS,
    verifiers: tuple[Any, ...] = (),
    price: int = ONE_NES,
    proof_price: int = 5 * ONE_NES,
    royalty_bps: int = 1_000,
    operators_root: bytes = b"\x01" * 32,
    admission: str = ZERO_ADDRESS,
) -> bytes:
    """Registers a version and returns its id."""
    version_id: bytes = registry.register(
        "model",
        "https://example.org/model",
        operators_root,
        b"\x02" * 32,
        [shard.as_abi() for shard in shards],
        [verifier.address for verifier in verifiers],
        price,
        proof_price,
        royalty_bps,
        admission,
        sender=developer,
    )
    return version_id


def with_circuits(shards: tuple[ShardFacts, ...], code_hash: bytes) -> tuple[ShardFacts, ...]:
    """`shards`, each with a circuit whose verifier has the code of `code_hash`."""
    return tuple(
        replace(
            shard,
            circuit_digest=Digest(bytes([index + 1]) * 32),
            verifier_code_hash=Digest(code_hash),
        )
        for index, shard in enumerate(shards)
    )


def with_hashed_circuits(
    shards: tuple[ShardFacts, ...], code_hash: bytes, kind: CircuitKind
) -> tuple[ShardFacts, ...]:
    """`shards`, each with a circuit that hashes; `key_of` is its verifying key."""
    return tuple(
        replace(
            shard,
            circuit_digest=circuit_digest(key_of(index), kind.ends(index, len(shards))),
            verifier_code_hash=Digest(code_hash),
        )
        for index, shard in enumerate(shards)
    )


def key_of(shard: int) -> bytes:
    """Stands for the verifying key of a shard."""
    return f"verifying key of shard {shard}".encode()


def next_epoch(epochs: int = 1) -> None:
    """Goes to the start of a later epoch."""
    boa.env.time_travel(seconds=epochs * EPOCH_SECONDS - boa.env.timestamp % EPOCH_SECONDS)


def _load(path: Path) -> VyperDeployer:
    """The contract, kept on disk with the digest of all that the compiler could read.

    titanoboa has a cache of its own, but parses and analyses every import to look into it.
    """
    kept = CACHE / f"{path.parent.name}-{path.stem}.pickle"
    digest = sha256(f"{path}{_sources()}".encode()).digest()
    with lasting_objects():
        stored = kept.read_bytes() if kept.exists() else b""
        if stored[: len(digest)] == digest:
            return VyperDeployer(pickle.loads(stored[len(digest) :]), filename=str(path))
        boa.interpret.set_search_paths([str(ROOT)])
        loaded = boa.load_partial(str(path))
        _keep(kept, digest + pickle.dumps(loaded.compiler_data))
        return loaded


def _keep(file: Path, content: bytes) -> None:
    """Writes the file in one step: another worker reads the old one or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(file)


@cache
def _sources() -> str:
    """Digest of every contract, and the versions of the compiler and what comes with it."""
    versions = [version(name) for name in ("vyper", "titanoboa", "snekmate")]
    total = sha256(repr((versions, sys.version)).encode())
    folders = (ROOT / "contracts", ROOT / "tests" / "contracts" / "harness")
    for file in sorted(file for folder in folders for file in folder.rglob("*.vy*")):
        total.update(sha256(str(file).encode()).digest() + sha256(file.read_bytes()).digest())
    return total.hexdigest()


@contextmanager
def lasting_objects() -> Iterator[None]:
    """What is made inside stays to the end: the garbage collector never walks it.

    A compiled contract is a graph of many thousand objects. Walking it again and again costs
    more than reading it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
