"""Watches conditional jumps while tests run, on titanoboa and on chains of revm alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import boa
from boa.vm.py_evm import patch_opcode
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES

import tests.deployment as deployment
import tests.revm as revm
from tests.coverage.branches import JUMPI, Decision, Sites, decisions

CONTRACTS = deployment.ROOT / "contracts"
HARNESSES = deployment.ROOT / "tests" / "contracts" / "harness"
"""Some have a module of the product in them and nothing else."""


class Recorder:
    """Which decisions there are, and which way each of them went."""

    def __init__(self) -> None:
        self.taken: dict[Decision, set[bool]] = {}
        self._known: list[tuple[bytes, Sites]] = []
        self._by_code: dict[bytes, Sites] = {}
        for file in sorted([*CONTRACTS.rglob("*.vy"), *HARNESSES.glob("*.vy")]):
            if file.stem[0].isupper():
                self._add(deployment._load(file).compiler_data)

    def _add(self, compiled: Any) -> None:
        for code, sites in decisions(compiled, CONTRACTS):
            self._known.append((code, sites))
            for decision in sites.values():
                self.taken.setdefault(decision, set())

    def _sites(self, code: bytes) -> Sites:
        """Decisions in running code: what was compiled, with arguments or immutables behind it."""
        if code not in self._by_code:
            found = [sites for known, sites in self._known if code.startswith(known)]
            self._by_code[code] = found[0] if found else {}
        return self._by_code[code]

    def install(self) -> None:
        """Watches every computation of this process from now on."""
        jump = PRAGUE_OPCODES[JUMPI]

        def watched(computation: Any) -> None:
            stream = computation.code
            decision = self._sites(stream._raw_code_bytes).get(stream.program_counter - 1)
            if decision is not None:
                condition = computation._stack.values[-2]
                self.taken[decision].add(_is_true(condition))
            jump(computation)

        watched.mnemonic = "JUMPI"  # type: ignore[attr-defined]
        patch_opcode(JUMPI, watched)
        revm.RevmChain = TracedChain  # type: ignore[misc]


def _is_true(condition: Any) -> bool:
    return any(condition) if isinstance(condition, bytes) else bool(condition)


class TracedChain(revm.RevmChain):
    """A chain of revm with a twin on titanoboa's machine, whose jumps are watched."""

    def __init__(self, chain_id: int = 31337) -> None:
        self.twin = boa.Env()
        self.twin.evm.patch.chain_id = chain_id
        super().__init__(chain_id)

    def _block(self) -> None:
        super()._block()
        patch = self.twin.evm.patch
        patch.block_number, patch.timestamp = self.number, self.timestamp
        numbers = range(self.number - 1, max(-1, self.number - 257), -1)
        patch.prev_hashes = [self.block_hash(number) for number in numbers]

    def deploy(
        self,
        path: str,
        *arguments: Any,
        sender: str = revm.NOBODY,
        build: revm.Build = revm.Build.AS_WRITTEN,
    ) -> revm.RevmContract:
        """On both machines at one address; what one refuses to deploy, the other watches."""
        compiled = revm.compiled_as(path, build)
        code = bytes.fromhex(compiled["bytecode"][2:])
        code += revm.encoded_arguments(compiled["abi"], arguments)
        try:
            contract = super().deploy(path, *arguments, sender=sender, build=build)
        except RuntimeError:
            with suppress(Exception):  # it refuses as well, and is asked for the way to there
                self.twin.deploy_code(sender=sender, bytecode=code)
            raise
        self.twin.deploy_code(sender=sender, bytecode=code, override_address=contract.address)
        return contract

    @contextmanager
    def anchor(self) -> Iterator[None]:
        """Undoes what happens inside on both."""
        with self.twin.anchor(), super().anchor():
            yield

    def send(
        self, sender: str, to: str, data: bytes, gas: int | None = None, value: int = 0
    ) -> bytes:
        """The transaction on both machines; what the twin makes of it is only watched."""
        self.twin.execute_code(to_address=to, sender=sender, data=data, value=value)
        return super().send(sender, to, data, gas, value)
