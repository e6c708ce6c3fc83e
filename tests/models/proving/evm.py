"""One contract on a fresh EVM."""

from __future__ import annotations

import pyrevm

CALLER = "0x" + "11" * 20
BLOCK_GAS = 2**40


class Reverted(Exception):
    """The call failed."""


class Deployed:
    """What `creation` deploys. Every call is a transaction of its own."""

    def __init__(self, creation: bytes) -> None:
        self.evm = pyrevm.EVM(spec_id="PRAGUE", gas_limit=BLOCK_GAS)
        self.evm.set_balance(CALLER, 10**24)
        self.address = self.evm.deploy(deployer=CALLER, code=creation)
        self.gas_used = 0

    @property
    def code_hash(self) -> bytes:
        """What EXTCODEHASH gives to a contract that asks."""
        ask = bytes.fromhex("73" + self.address[2:] + "3f60005260206000f3")
        init = bytes.fromhex(f"60{len(ask):02x}80600b6000396000f3") + ask
        asking = self.evm.deploy(deployer=CALLER, code=init)
        return self.evm.message_call(caller=CALLER, to=asking)

    def call(self, data: bytes, value: int = 0) -> bytes:
        """The answer to `data`; `gas_used` is that of the transaction afterwards."""
        try:
            answer = self.evm.message_call(
                caller=CALLER, to=self.address, calldata=data, value=value, gas=10_000_000
            )
        except RuntimeError as error:
            raise Reverted(str(error)) from None
        result = self.evm.result
        assert result is not None
        self.gas_used = result.gas_used
        return answer
