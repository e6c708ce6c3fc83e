"""A chain on which every contract stands in several builds, and every call ends alike in all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tests.revm import NOBODY, Build, RawLog, Revert, RevmChain, RevmContract

UNBUILT: Final[dict[tuple[str, Build], str]] = {
    ("contracts/verification/ProofRouter", Build.VENOM): "StackTooDeep",
    ("contracts/disputes/FoldJudge", Build.VENOM): "StackTooDeep",
}
"""What the compiler fails at, with the name of its own error; built as written instead."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What a caller and the world see of a transaction."""

    output: bytes
    is_revert: bool
    logs: tuple[RawLog, ...]


class BuildsChain(RevmChain):
    """Builds as written, with others beside them; a call that ends otherwise in one fails."""

    builds: ClassVar[tuple[Build, ...]] = (Build.CODESIZE, Build.VENOM)
    compared: ClassVar[int] = 0

    def __init__(self, chain_id: int = 31337) -> None:
        self.twins = {build: RevmChain(chain_id) for build in self.builds}
        super().__init__(chain_id)

    def deploy(
        self, path: str, *arguments: Any, sender: str = NOBODY, build: Build = Build.AS_WRITTEN
    ) -> RevmContract:
        """Every build of the product's contracts; harnesses are no product and alike everywhere."""
        contract = super().deploy(path, *arguments, sender=sender, build=build)
        for other, twin in self.twins.items():
            is_built = path.startswith("contracts/") and (path, other) not in UNBUILT
            chosen = other if is_built else build
            beside = twin.deploy(path, *arguments, sender=sender, build=chosen)
            assert beside.address == contract.address
        return contract

    def mine(self, blocks: int = 1, seconds: int = 1) -> None:
        """Time passes everywhere."""
        super().mine(blocks, seconds)
        for twin in self.twins.values():
            twin.mine(blocks, seconds)

    @contextmanager
    def anchor(self) -> Iterator[None]:
        """Undoes what happens inside everywhere."""
        with ExitStack() as stack:
            for twin in self.twins.values():
                stack.enter_context(twin.anchor())
            stack.enter_context(super().anchor())
            yield

    def send(
        self, sender: str, to: str, data: bytes, gas: int | None = None, value: int = 0
    ) -> bytes:
        """One transaction on every chain."""
        call = (sender, to, data, gas, value)
        ending = _ending(self, *call)
        BuildsChain.compared += 1
        for build, twin in self.twins.items():
            found = _ending(twin, *call)
            assert found == ending, f"{build.name} ends otherwise: {found} instead of {ending}"
        if ending.is_revert:
            raise Revert(ending.output)
        return ending.output


def _ending(
    chain: RevmChain, sender: str, to: str, data: bytes, gas: int | None, value: int
) -> Ending:
    try:
        output = RevmChain.send(chain, sender, to, data, gas, value)
    except Revert as error:
        return Ending(error.data, True, ())
    return Ending(output, False, tuple(chain.logs))
