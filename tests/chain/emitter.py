"""Deploys the emitter of `harness/` on a local chain and calls it."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak
from vyper.cli.vyper_compile import compile_files

from nesa.chain.abi import ContractCall
from nesa.chain.anvil import CHAIN_ID, Anvil, development_account
from nesa.chain.connection import RpcPolicy
from nesa.chain.deployment import CONTRACT_NAMES, Deployment
from nesa.protocol.ids import Address

ROOT = Path(__file__).parents[2]
DEPLOYER = Address(development_account(9).address)
QUICK = RpcPolicy(timeout=60, retries=1, backoff=0.01, poll=0.02)


@cache
def bytecode() -> str:
    """Initialisation code of the emitter."""
    source = Path(__file__).with_name("harness") / "Emitter.vy"
    (output,) = compile_files([str(source)], ["bytecode"], paths=[str(ROOT)]).values()
    return str(output["bytecode"])


def deploy(anvil: Anvil) -> Deployment:
    """The emitter in the place of every contract."""
    receipt = included(anvil, {"from": DEPLOYER, "data": bytecode()})
    return deployment_at(Address(receipt["contractAddress"]), int(receipt["blockNumber"], 16))


def included(anvil: Anvil, transaction: dict[str, Any]) -> Any:
    """Receipt of a transaction of an unlocked account; where mining is not automatic, mine."""
    tx_hash = anvil.rpc("eth_sendTransaction", transaction)
    if not anvil.rpc("anvil_getAutomine"):
        anvil.rpc("evm_mine")
    while (receipt := anvil.rpc("eth_getTransactionReceipt", tx_hash)) is None:
        time.sleep(0.005)
    return receipt


def deployment_at(address: Address, block: int, chain_id: int = CHAIN_ID) -> Deployment:
    """A deployment whose contracts all live at `address`."""
    values = {"chain_id": chain_id, "block": block} | dict.fromkeys(CONTRACT_NAMES, address)
    return Deployment.model_validate(values)


def call(deployment: Deployment, function: str, *numbers: int) -> ContractCall:
    """A call of the emitter."""
    kinds = ["uint256"] * len(numbers)
    selector = keccak(text=f"{function}({','.join(kinds)})")[:4]
    return ContractCall(deployment.market, selector + encode(kinds, numbers), f"Emitter.{function}")


def emit(anvil: Anvil, deployment: Deployment, function: str, *numbers: int) -> None:
    """Send a call from the deployer's unlocked account and have it in a block."""
    data = f"0x{call(deployment, function, *numbers).data.hex()}"
    transaction = {"from": DEPLOYER, "to": deployment.market, "data": data, "gas": hex(1_000_000)}
    included(anvil, transaction)
