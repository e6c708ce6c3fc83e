"""Deploys an example contract, as the developer of a consumer would with tools of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from nesa.chain.connection import Connection, data_bytes, quantity
from nesa.devnet.layout import Clone
from nesa.devnet.operators import find_script
from nesa.protocol.errors import InvalidConfiguration, Unavailable
from nesa.protocol.ids import Address

RECEIPT_SECONDS: Final = 30.0
_GWEI: Final = 10**9


async def compile_contract(clone: Clone, source: Path) -> bytes:
    """Creation bytecode of a Vyper file of the clone.

    Raises:
        InvalidConfiguration: vyper is not installed, or refuses the file.
    """
    process = await asyncio.create_subprocess_exec(
        find_script("vyper"),
        "-f",
        "bytecode",
        str(source),
        cwd=clone.root,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    if process.returncode:
        raise InvalidConfiguration(f"vyper refuses {source}: {complaint.decode()[-500:]}")
    return data_bytes(said.decode().strip())


async def deploy_code(
    connection: Connection,
    account: LocalAccount,
    creation: bytes,
    types: Sequence[str],
    arguments: Sequence[Any],
) -> tuple[Address, int]:
    """Address of a new contract, and the gas that it took.

    Raises:
        Unavailable: it is not mined in time, or its constructor reverts.
    """
    code = creation + encode(types, arguments)
    sender = Address(account.address)
    gas = quantity(
        await connection.request("eth_estimateGas", {"from": sender, "data": f"0x{code.hex()}"})
    )
    head = await connection.head()
    signed = account.sign_transaction(
        {
            "type": 2,
            "chainId": connection.deployment.chain_id,
            "nonce": await connection.mined_nonce(sender),
            "data": code,
            "gas": gas * 5 // 4,
            "maxFeePerGas": 2 * head.base_fee + _GWEI,
            "maxPriorityFeePerGas": _GWEI,
        }
    )
    tx_hash = await connection.request_once(
        "eth_sendRawTransaction", f"0x{bytes(signed.raw_transaction).hex()}"
    )
    return await _created(connection, str(tx_hash))


async def _mined(connection: Connection, tx_hash: str) -> Any:
    while True:
        found = await connection.request("eth_getTransactionReceipt", tx_hash)
        if found:
            return found
        await asyncio.sleep(0.1)


async def _created(connection: Connection, tx_hash: str) -> tuple[Address, int]:
    try:
        async with asyncio.timeout(RECEIPT_SECONDS):
            found = await _mined(connection, tx_hash)
    except TimeoutError as error:
        raise Unavailable(f"the deployment {tx_hash} was not mined") from error
    if not quantity(found["status"]):
        raise Unavailable(f"the deployment {tx_hash} reverted")
    return Address(to_checksum_address(found["contractAddress"])), quantity(found["gasUsed"])
