"""Gas of a query's transactions as a chain would charge it: `python -m benchmarks.gas`.

Runs on titanoboa, resets access lists and original values between transactions, and adds what a
transaction costs before it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boa
from boa.contracts.vyper.vyper_contract import VyperContract
from eth_utils.address import to_canonical_address

from nesa.protocol.contents import encode_locator, is_long_answer, is_long_input
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Assurance
from nesa.protocol.versions import ShardFacts
from tests.deployment import next_epoch, register_version
from tests.market import TENSORS, World, build_world, go_to, pass_blocks, seed_of
from tests.reports import shard_works

RESULTS: Final = Path(__file__).parent / "results" / "gas.md"

TRANSACTION: Final = 21_000
ZERO_BYTE, OTHER_BYTE, FLOOR_TOKEN = 4, 16, 10
PRECOMPILES: Final = [bytes(19) + bytes([number]) for number in range(1, 11)]
LARGEST_REFUND: Final = 5  # one fifth of what was used, EIP-3529

CALLBACK_GAS: Final = 100_000
STOP: Final = b"\x00"

SIZES: Final = [(replicas, shards) for shards in (1, 2) for replicas in (3, 4, 7)]
LENGTHS: Final = [(30, 4), (1_024, 256), (4_096, 1_024), (4_097, 1_025)]
LOCATED_AT: Final = "https://client.example/{}"
ENDING_SIZES: Final = [(4, 1), (7, 2)]
SEATS: Final = 8
WARMING_QUERIES: Final = 24


@dataclass(frozen=True, slots=True)
class Row:
    """What the transactions of one query cost."""

    replicas: int
    shards: int
    state: str
    request: int
    fulfil: int
    callback: int

    def __str__(self) -> str:
        sums = (self.request, self.fulfil, self.request + self.fulfil, self.callback)
        cells = [str(self.shards), str(self.replicas), self.state, *(f"{s:,}" for s in sums)]
        return "| " + " | ".join(cells) + " |"


def begin_transaction(sender: str, to: str) -> None:
    """Makes everything cold but what EIP-2929 and EIP-3651 say is warm."""
    state = boa.env.evm.vm.state
    state.lock_changes()
    boa.env.evm.reset_access_counters()
    own = (to_canonical_address(sender), to_canonical_address(to), state.coinbase)
    for address in (*PRECOMPILES, *own):
        state.mark_address_warm(address)


def transaction_gas(contract: VyperContract, sender: str, call: Callable[[], Any]) -> int:
    """What the transaction that `call` makes to `contract` costs `sender`."""
    begin_transaction(sender, contract.address)
    call()
    computation = contract._computation
    start, floor = intrinsic_gas(computation.msg.data)
    used = start + computation.get_gas_used()
    used -= min(computation.get_gas_refund(), used // LARGEST_REFUND)
    return int(max(used, floor))


def intrinsic_gas(data: bytes) -> tuple[int, int]:
    """Gas that a transaction costs before it runs, and the floor of EIP-7623."""
    zeros = data.count(0)
    others = len(data) - zeros
    start = TRANSACTION + ZERO_BYTE * zeros + OTHER_BYTE * others
    return start, TRANSACTION + FLOOR_TOKEN * (zeros + 4 * others)


def measure(replicas: int, shards: int) -> list[Row]:
    """The first query ever, and one when everybody has money and credits already."""
    world = build_world(SEATS, shards=(shards,))
    client = world.client(amount=100_000 * ONE_NES)
    first = _query_gas(world, client, replicas, shards)
    for _ in range(WARMING_QUERIES):
        world.fulfil(world.request(client, shards, replicas=replicas))
    steady = _query_gas(world, client, replicas, shards)
    boa.env.set_code(client, STOP)
    called = _query_gas(world, client, replicas, shards, CALLBACK_GAS)
    callback = called[1] - steady[1]
    return [
        Row(replicas, shards, "first", *first, callback),
        Row(replicas, shards, "steady", *steady, callback),
    ]


def _query_gas(
    world: World, client: str, replicas: int, shards: int, callback_gas: int = 0
) -> tuple[int, int]:
    order = world.order(shards, replicas=replicas, callback_gas=callback_gas)
    data = TENSORS[shards][0]
    request = transaction_gas(
        world.market, client, lambda: world.market.request(order, data, sender=client)
    )
    query = world.requested()
    pass_blocks(2)
    reports, oracle = world.reports(query), world.oracle(query)
    fulfil = transaction_gas(
        world.market, oracle, lambda: world.fulfil(query, reports, sender=oracle)
    )
    return request, fulfil


def measure_endings(replicas: int, shards: int) -> dict[str, int]:
    """What the ends of a CHALLENGED query cost whoever sends them, once everybody has credits."""
    world = build_world(SEATS, shards=(shards,))
    client, court = world.client(amount=100_000 * ONE_NES), world.court()
    for _ in range(WARMING_QUERIES):
        world.fulfil(world.request(client, shards, replicas=replicas))
    gas: dict[str, int] = {}
    for verdict in ("release", "overturn"):
        terms, settled, payees = _answered(world, client, replicas, shards)
        about = (terms, settled, shards - 1)
        gas["hold"] = _sent(world, court, "hold", *about, payees)
        gas[verdict] = _sent(world, court, verdict, *about, *[payees][: verdict == "release"])
    boa.env.set_code(client, STOP)
    terms, settled, _ = _answered(world, client, replicas, shards)
    go_to(world.market.closes_at(terms[0]) + 1)
    gas["deliver"] = _sent(world, court, "deliver", terms, settled, TENSORS[shards][-1])
    return gas


def _answered(
    world: World, client: str, replicas: int, shards: int
) -> tuple[tuple[Any, ...], tuple[Any, ...], list[int]]:
    """A query's terms and outcome, and the payees of its last shard."""
    query = world.request(
        client,
        shards,
        replicas=replicas,
        assurance=Assurance.CHALLENGED,
        callback_gas=CALLBACK_GAS,
    )
    outcome = world.fulfil(query)
    return query.as_abi(), outcome_as_abi(outcome), world.payees(query, outcome, shards - 1)


def _sent(world: World, sender: str, function: str, *arguments: Any) -> int:
    call = getattr(world.market, function)
    return transaction_gas(world.market, sender, lambda: call(*arguments, sender=sender))


def measure_lengths() -> str:
    """What requests and reports cost by the length of input and answer, as markdown.

    What is longer than the chain takes goes by its digest: the request carries a locator.
    """
    world = build_world(SEATS, shards=(1,))
    client, rows = world.client(amount=100_000 * ONE_NES), []
    for _ in range(WARMING_QUERIES):
        world.fulfil(world.request(client))
    for number, (given, made) in enumerate(LENGTHS):
        edges = [EdgeType(DType.INT8, (1, size), -127, 127) for size in (given, made)]
        version_id = _version(world, number, *edges)
        for _ in range(2):  # the second has what is not the first ever
            request, fulfil = _long_query_gas(world, client, version_id, *edges)
        rows.append(f"| {given:,} | {request:,} | {made:,} | {fulfil:,} |")
    head = "| input bytes | request | answer bytes | fulfil |\n|---:|---:|---:|---:|"
    return "\n".join([head, *rows])


def _version(world: World, number: int, given: EdgeType, made: EdgeType) -> bytes:
    """A version of one shard with a committee of its own."""
    facts = ShardFacts((given,), (made,), ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST)
    root = bytes([200 + number]) * 32
    registry = world.lower.registry
    version_id = register_version(registry, world.developer, (facts,), operators_root=root)
    for place in range(4):
        world.operator(f"length-{number}-{place}", [(version_id, 0)])
    next_epoch()
    pass_blocks(1, 0)
    return version_id


def _long_query_gas(
    world: World, client: str, version_id: bytes, given: EdgeType, made: EdgeType
) -> tuple[int, int]:
    inputs, output = bytes(range(1, 101)) * 50, bytes(range(1, 101)) * 50
    data, answer = inputs[: given.nbytes], output[: made.nbytes]
    digest, out_digest = boundary_digest([given], [data]), boundary_digest([made], [answer])
    is_long = is_long_input(given.nbytes)
    order = world.order(version_id=version_id, input_digest=digest if is_long else ZERO_DIGEST)
    carried = encode_locator([LOCATED_AT.format(digest.hex())]) if is_long else data
    request = transaction_gas(
        world.market, client, lambda: world.market.request(order, carried, sender=client)
    )
    query = world.requested()
    pass_blocks(2)
    payload = out_digest if is_long_answer(made.nbytes) else answer
    at = (world.chain_id, world.market.address, query, seed_of(query))
    works = shard_works(*at, [world.drawn(query, 0, 4)], [out_digest], payload)
    reports, oracle = [work.report() for work in works], world.oracle(query)
    fulfil = transaction_gas(
        world.market, oracle, lambda: world.fulfil(query, reports, payload, sender=oracle)
    )
    return request, fulfil


def endings_table(sizes: Iterable[tuple[int, int]]) -> str:
    """What each end costs by size, as markdown."""
    names = ("hold", "release", "overturn", "deliver")
    head = f"| shards | replicas | {' | '.join(names)} |\n|---:|---:|{'---:|' * len(names)}"
    measured = ((replicas, shards, measure_endings(replicas, shards)) for replicas, shards in sizes)
    lines = [
        f"| {shards} | {replicas} | {' | '.join(f'{gas[name]:,}' for name in names)} |"
        for replicas, shards, gas in measured
    ]
    return "\n".join([head, *lines])


def table(rows: Iterable[Row]) -> str:
    """The rows as markdown."""
    head = "| shards | replicas | state | request | fulfil | both | a callback adds |"
    return "\n".join([head, "|---:|---:|---|---:|---:|---:|---:|", *map(str, rows)])


def main() -> None:
    """Measures, prints and keeps the table."""
    rows = [row for size in SIZES for row in measure(*size)]
    text = f"""# Gas of one AGREED query

Every transaction of it: 30 bytes in, 2 int16 out, all members paid, signed by bare keys, the fee
pulled by an unlimited allowance. *first*: nobody has credits yet. *steady*: everybody has.
*A callback adds* is what calling an empty consumer costs the oracle.
Written by `python -m benchmarks.gas`.

{table(rows)}

## How a query ends

All members paid, everybody with credits; one shard is held. *Deliver* brings a CHALLENGED answer to
an empty consumer; whoever sends it has no credit before.

{endings_table(ENDING_SIZES)}

## By length

One shard, four replicas, a second query of each version. Inputs of up to 4,096 bytes and answers of
up to 1,024 travel in calldata; beyond that the request carries one URL of 87 bytes, and the report
a digest.

{measure_lengths()}
"""
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
