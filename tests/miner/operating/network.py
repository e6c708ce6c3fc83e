"""A chain with the contracts that a miner's owner meets, and a published model on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from web3 import Web3

from nesa.chain.anvil import CHAIN_ID, Anvil, development_account
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Deployment
from nesa.chain.sender import Sender
from nesa.client.registering import Developer, Terms
from nesa.models.publish import publish
from nesa.protocol.ids import Address, Amount, BlockNumber, VersionId
from scripts.deployment.plan import STEPS, Accounts, deployment
from scripts.deployment.profiles import DEVNET
from tests.chain.emitter import QUICK, included
from tests.revm import compiled_as

ROOT: Final = Path(__file__).parents[3]
MODEL: Final = ROOT / "models" / "breast-cancer-mlp"
PROVING_CACHE: Final = ROOT / ".cache" / "proving"
PASSWORD: Final = "correct horse"

HOLDER: Final = development_account(0)
DEVELOPER: Final = development_account(1)

SOURCES: Final = {
    "token": "token/NesToken",
    "parameters": "governance/ProtocolParameters",
    "router": "verification/ProofRouter",
    "registry": "registry/ModelRegistry",
    "allow_list": "registry/AllowList",
    "vault": "staking/StakeVault",
    "summons": "market/Summons",
}
"""What owners and developers deal with; the others only have to be there."""


@dataclass(frozen=True, slots=True)
class LocalNetwork:
    """A chain, its contracts, a store, and one provable version in both."""

    anvil: Anvil
    deployment: Deployment
    store: Path
    version_id: VersionId

    def connect(self) -> Connection:
        """A connection for one event loop."""
        return Connection(self.anvil.url, self.deployment, QUICK)

    def fund(self, account: str, nes: int) -> None:
        """Give an account coins for gas and units of NES."""
        self.anvil.rpc("anvil_setBalance", account, hex(10**20))
        if nes:
            asyncio.run(self._transfer(Address(account), Amount(nes)))

    def read(self, contract: str, function: str, *arguments: Any) -> Any:
        """What a typed view returns now."""

        async def ask() -> Any:
            async with self.connect() as connection:
                bound = getattr(Contracts(connection), contract)
                return await getattr(bound, function)(*arguments, at="latest")

        return asyncio.run(ask())

    def pass_time(self, seconds: int) -> None:
        """Let the chain's clock run."""
        self.anvil.rpc("evm_increaseTime", seconds)
        self.anvil.rpc("evm_mine")

    def time(self) -> int:
        """The second that the newest block was made at."""
        return int(self.anvil.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    async def _transfer(self, receiver: Address, amount: Amount) -> None:
        async with self.connect() as connection:
            call = Contracts(connection).token.transfer(receiver, amount)
            await Sender(connection, HOLDER).send(call)


def build_network(anvil: Anvil, store: Path) -> LocalNetwork:
    """Deploy, publish and register."""
    deployed = _deploy(anvil)
    block = BlockNumber(int(anvil.rpc("eth_blockNumber"), 16))
    contracts = deployment(CHAIN_ID, block, deployed)
    location = publish(MODEL, store, str(store))
    version_id = asyncio.run(_register(anvil, contracts, location))
    return LocalNetwork(anvil, contracts, store, version_id)


async def _register(anvil: Anvil, contracts: Deployment, location: str) -> VersionId:
    async with await Connection.open(anvil.url, contracts, QUICK) as connection:
        developer = Developer(connection, Sender(connection, DEVELOPER))
        return await developer.register(MODEL, Terms(Amount(10), Amount(10), 0, location))


def _deploy(anvil: Anvil) -> dict[str, Address]:
    holder = Address(HOLDER.address)
    accounts = Accounts(holder, holder, holder, holder)
    deployed: dict[str, Address] = {}
    for step in STEPS:
        if step.name in SOURCES:
            arguments = step.arguments(DEVNET, accounts, deployed)
            deployed[step.name] = create(anvil, SOURCES[step.name], arguments)
        else:
            deployed[step.name] = _stand_in(anvil, len(deployed))
    return deployed


def create(anvil: Anvil, source: str, arguments: tuple[Any, ...]) -> Address:
    """Where a contract is now, deployed from its source below `contracts/`."""
    compiled = compiled_as(f"contracts/{source}")
    factory = Web3().eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
    data = factory.constructor(*arguments).data_in_transaction
    receipt = included(anvil, {"from": HOLDER.address, "data": data, "gas": hex(20_000_000)})
    return Address(Web3.to_checksum_address(receipt["contractAddress"]))


def _stand_in(anvil: Anvil, number: int) -> Address:
    """Code that does nothing."""
    address = Address(Web3.to_checksum_address(f"0x{0xC0DE0000 + number:040x}"))
    anvil.rpc("anvil_setCode", address, "0x00")
    return address
