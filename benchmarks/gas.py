"""Gas of a query's transactions, as a chain would charge it: `python -m benchmarks.gas`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boa
from boa.contracts.vyper.vyper_contract import VyperContract
from eth_utils.address import to_canonical_address

from nesa.protocol.queries import Query
from tests.deployment import load_harness
from tests.market import CREDIT_WINDOW, World, build_world, pass_blocks

RESULTS: Final = Path(__file__).parent / "results" / "gas.md"

TRANSACTION: Final = 21_000
ZERO_BYTE, OTHER_BYTE, FLOOR_TOKEN = 4, 16, 10
PRECOMPILES: Final = [bytes(19) + bytes([n]) for n in range(1, 10)]
MAX_REFUND_SHARE: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """What the transactions of one query cost."""

    replicas: int
    shards: int
    state: str
    request: int
    fulfil: int
    callback: int

    @property
    def total(self) -> int:
        """All transactions of the query, without what a consumer does with the answer."""
        return self.request + self.fulfil


def intrinsic(data: bytes) -> tuple[int, int]:
    """Gas that calldata costs before anything runs, and the floor of EIP-7623."""
    zeros = data.count(0)
    others = len(data) - zeros
    tokens = zeros + 4 * others
    return TRANSACTION + ZERO_BYTE * zeros + OTHER_BYTE * others, TRANSACTION + FLOOR_TOKEN * tokens


@contextmanager
def cold(sender: str, to: str) -> Iterator[None]:
    """A transaction begins: nothing is warm but what EIP-2929 and EIP-3651 say."""
    state = boa.env.evm.vm.state
    state.lock_changes()
    boa.env.evm.reset_access_counters()
    for address in (*PRECOMPILES, to_canonical_address(sender), to_canonical_address(to), state.coinbase):
        state.mark_address_warm(address)
    yield


def gas_of(contract: VyperContract, call: Callable[[], Any], sender: str) -> int:
    """What the transaction `call` to `contract` costs its sender."""
    with cold(sender, contract.address):
        call()
    computation = contract._computation
    start, floor = intrinsic(computation.msg.data)
    used = start + computation.get_gas_used()
    used -= min(computation.get_gas_refund(), used // MAX_REFUND_SHARE)
    return int(max(used, floor))


