"""Contracts on pyrevm: transactions with the gas that a chain would charge, at great speed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pyrevm
import vyper
from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from vyper.compiler import outputs_from_compiler_data
from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle
from vyper.compiler.phases import CompilerData
from vyper.compiler.settings import Settings

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "revm"
NOBODY = "0x" + "00" * 20
GENESIS_TIME = 1_800_000_000
BLOCK_GAS = 2**40
_OPTIMIZE = re.compile(r"^# pragma optimize \w+$", re.MULTILINE)


class Build(Enum):
    """How the compiler is told to work: as the source says, or by other pragmas."""

    AS_WRITTEN = ""
    GAS = "# pragma optimize gas"
    CODESIZE = "# pragma optimize codesize"
    VENOM = "# pragma optimize gas\n# pragma experimental-codegen"

    def of(self, text: str) -> str:
        """The source for this build."""
        return _OPTIMIZE.sub(self.value, text) if self.value else text


class Revert(Exception):
    """A call that reverted; `reason` is the contract's text."""

    def __init__(self, data: bytes) -> None:
        self.data, self.reason = data, ""
        if data[:4] == bytes.fromhex("08c379a0"):
            self.reason = decode(["string"], data[4:])[0]
        super().__init__(self.reason or "0x" + data.hex())


@dataclass(frozen=True, slots=True)
class RawLog:
    """One event as the chain keeps it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


class RevmChain:
    """A chain of one machine. Every call is a transaction of its own with its intrinsic gas."""

    def __init__(self, chain_id: int = 31337) -> None:
        self.chain_id = chain_id
        self.number, self.timestamp = 1, GENESIS_TIME
        self.evm = self._machine()
        self._touched: set[tuple[str, int]] = set()
        self.gas_used = 0
        self.logs: list[RawLog] = []
        self._block()

    def _machine(self) -> pyrevm.EVM:
        cfg = pyrevm.CfgEnv(chain_id=self.chain_id)
        return pyrevm.EVM(env=pyrevm.Env(cfg=cfg), spec_id="PRAGUE", gas_limit=BLOCK_GAS)

    def _block(self) -> None:
        self.evm.set_block_env(
            pyrevm.BlockEnv(number=self.number, timestamp=self.timestamp, gas_limit=BLOCK_GAS)
        )

    def mine(self, blocks: int = 1, seconds: int = 1) -> None:
        """Lets `blocks` blocks and `seconds` seconds pass."""
        self.number += blocks
        self.timestamp += seconds
        self._block()

    def block_hash(self, number: int) -> bytes:
        """Hash of a block as BLOCKHASH gives it; the harness makes it from the number."""
        return keccak(text=str(number))

    @contextmanager
    def anchor(self) -> Iterator[None]:
        """Undoes what happens inside."""
        moment = self.number, self.timestamp
        snapshot = self.evm.snapshot()
        try:
            yield
        finally:
            self.evm.revert(snapshot)
            self.number, self.timestamp = moment
            self._block()

    def cool(self) -> None:
        """Moves the state to a new machine, where the next call costs what it would on a chain.

        pyrevm keeps accounts and slots warm, and the values of a transaction's start, from one
        call to the next. Ends every anchor.
        """
        changes = re.findall(r"StorageChange { address: (0x\w+), key: (\d+)", self.evm.journal_str)
        self._touched |= {(to_checksum_address(address), int(key)) for address, key in changes}
        cold = self._machine()
        for address in self.evm.db_accounts:
            cold.insert_account_info(address, self.evm.basic(address))
        for address, key in sorted(self._touched):
            # The first slot of an account that was never read goes to the database, every other
            # to the journal of changes, as a warm one. Reverting unreads the account.
            unread = cold.snapshot()
            cold.insert_account_storage(address, key, self.evm.storage(address, key))
            cold.revert(unread)
        self.evm = cold
        self._block()

    def send(
        self, sender: str, to: str, data: bytes, gas: int | None = None, value: int = 0
    ) -> bytes:
        """One transaction; keeps its gas and logs."""
        self.evm.reset_transient_storage()
        try:
            output = self.evm.message_call(
                caller=sender, to=to, calldata=data, value=value, gas=gas
            )
        except RuntimeError as error:
            found = re.search(r"output: (0x[0-9a-f]*)", str(error))
            raise Revert(bytes.fromhex(found[1][2:]) if found else b"") from None
        result = self.evm.result
        assert result is not None
        self.gas_used = result.gas_used
        self.logs = [_raw_log(log) for log in result.logs]
        return bytes(output)

    def deploy(
        self, path: str, *arguments: Any, sender: str = NOBODY, build: Build = Build.AS_WRITTEN
    ) -> RevmContract:
        """The contract at `path` below the repository's root, without its extension."""
        compiled = compiled_as(path, build)
        code = bytes.fromhex(compiled["bytecode"][2:])
        code += encoded_arguments(compiled["abi"], arguments)
        return RevmContract(self, self.evm.deploy(deployer=sender, code=code), compiled["abi"])


class RevmContract:
    """A deployed contract with its functions as attributes."""

    def __init__(self, chain: RevmChain, address: str, abi: list[dict[str, Any]]) -> None:
        self.chain, self.address = chain, str(to_checksum_address(address))
        self.abi = abi
        for entry in abi:
            if entry["type"] == "function":
                setattr(self, entry["name"], self._bind(entry))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AttributeError(name)

    def _bind(self, entry: dict[str, Any]) -> Callable[..., Any]:
        inputs = [_canonical(i) for i in entry["inputs"]]
        outputs = [_canonical(o) for o in entry["outputs"]]
        selector = keccak(text=f"{entry['name']}({','.join(inputs)})")[:4]
        is_view = entry["stateMutability"] in ("view", "pure")

        def call(
            *arguments: Any, sender: str = NOBODY, gas: int | None = None, value: int = 0
        ) -> Any:
            data = selector + encode(inputs, arguments)
            if is_view:
                kept = self.chain.gas_used, self.chain.logs
                with self.chain.anchor():
                    output = self.chain.send(sender, self.address, data, gas)
                self.chain.gas_used, self.chain.logs = kept
            else:
                output = self.chain.send(sender, self.address, data, gas, value)
            values = decode(outputs, output)
            return values[0] if len(values) == 1 else values

        call.__name__ = entry["name"]
        return call


@cache
def compiled_as(path: str, build: Build = Build.AS_WRITTEN) -> dict[str, Any]:
    """ABI and creation code of the contract at `path`; kept on disk by the sources' hash."""
    file = ROOT / f"{path}.vy"
    source = FileInput(-1, file, file, contents=build.of(file.read_text()))
    compiler = CompilerData(source, FilesystemInputBundle(_search_paths()), settings=Settings())
    kept = CACHE / f"{compiler.integrity_sum}-{vyper.__version__}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    compiled = outputs_from_compiler_data(compiler, output_formats=["abi", "bytecode"])
    _keep(kept, json.dumps(compiled))
    return dict(compiled)


def encoded_arguments(abi: list[dict[str, Any]], arguments: Sequence[Any]) -> bytes:
    """What stands behind a contract's creation code."""
    constructor = next((entry for entry in abi if entry["type"] == "constructor"), None)
    types = [_canonical(one) for one in constructor["inputs"]] if constructor else []
    return encode(types, arguments)


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(text)
    part.replace(path)


def _search_paths() -> list[Path]:
    return [*(Path(entry) for entry in __import__("sys").path if entry), ROOT]


def _canonical(argument: dict[str, Any]) -> str:
    if argument["type"].startswith("tuple"):
        inner = ",".join(_canonical(component) for component in argument["components"])
        return f"({inner}){argument['type'][5:]}"
    return str(argument["type"])


def _raw_log(log: Any) -> RawLog:
    topics = tuple(bytes.fromhex(topic.removeprefix("0x")) for topic in log.topics)
    return RawLog(to_checksum_address(log.address), topics, bytes(log.data[1]))
