"""Gas of the economy beside queries: `python -m benchmarks.economy`.

Escrows of gas, rewards by work and delegations, each as a whole transaction; gas is the same in
every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boa
from boa.contracts.vyper.vyper_contract import VyperContract

from benchmarks.gas import transaction_gas
from nesa.protocol.ids import ONE_NES
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Outcome, Query
from nesa.protocol.versions import version_root
from tests.deployment import UNBONDING_SECONDS, deployer
from tests.market import World, build_world, facts, go_to
from tests.reports import signer_address

RESULTS: Final = Path(__file__).parent / "results" / "economy.md"
COIN: Final = 10**18
STAKE: Final = 1_000 * ONE_NES
EMISSION: Final = (5_000, 86_400, 1_460, 100_000 * ONE_NES)


@dataclass(frozen=True, slots=True)
class Line:
    """A transaction, and its gas where its accounts have nothing yet and where they do."""

    action: str
    first: int
    steady: int

    def __str__(self) -> str:
        return f"| {self.action} | {self.first:,} | {self.steady:,} |"


@dataclass(frozen=True, slots=True)
class Economy:
    """The protocol with the contracts above it."""

    world: World
    escrow: VyperContract
    pool: VyperContract
    emitter: VyperContract
    client: str

    def final(self, shards: int) -> tuple[Query, Outcome, list[list[str]]]:
        """A query that nobody can dispute any more, with its members."""
        query = self.world.request(self.client, shards)
        drawn = [self.world.drawn(query, shard, query.replicas) for shard in range(shards)]
        outcome = self.world.fulfil(query)
        go_to(self.world.market.closes_at(query.query_id) + 1)
        return query, outcome, [[str(signer_address(key)) for key in keys] for keys in drawn]

    def gas(
        self, contract: VyperContract, call: Callable[..., Any], *given: Any, value: int = 0
    ) -> int:
        """What the client pays for a call."""
        sent: dict[str, Any] = {"sender": self.client, "value": value}
        return transaction_gas(contract, self.client, lambda: call(*given, **sent))


def build() -> Economy:
    """Everything deployed and bound."""
    world = build_world(seats=6, shards=(1, 2))
    lower = world.lower
    with boa.env.prank(world.deployer):
        pool = deployer("staking/DelegationPool").deploy(lower.token, lower.vault)
        bound = (lower.token, world.market, lower.vault, pool)
        emitter = deployer("token/RewardEmitter").deploy(*bound, *EMISSION)
        lower.token.set_minter(emitter)
    lower.vault.set_delegation_pool(pool, sender=world.setter)
    escrow = deployer("market/GasEscrow").deploy(world.market)
    client = world.client(amount=100_000 * ONE_NES)
    boa.env.set_balance(client, COIN)
    lower.token.approve(pool, 2**256 - 1, sender=client)
    return Economy(world, escrow, pool, emitter, client)


def escrow_lines(economy: Economy) -> Iterator[Line]:
    """A deposit until it is in the reporter's hands."""
    escrow, world = economy.escrow, economy.world
    found: list[list[int]] = []
    for _ in range(12):  # until every oracle was paid before
        query = world.request(economy.client, 1)
        deposit = economy.gas(escrow, escrow.deposit, query.query_id, value=10**15)
        outcome = world.fulfil(query)
        given = (query.as_abi(), outcome_as_abi(outcome))
        settle = economy.gas(escrow, escrow.settle, *given)
        found.append([deposit, settle])
    withdraw = economy.gas(escrow, escrow.withdraw, outcome.reporter)
    names = ("deposit coin for a query", "settle the coin of an answered query")
    for name, first, steady in zip(names, found[0], found[-1], strict=True):
        yield Line(name, first, steady)
    yield Line("withdraw a reporter's coin", withdraw, withdraw)


def reward_lines(economy: Economy) -> Iterator[Line]:
    """New NES for a query's work."""
    for shards in (1, 2):
        found = [_reward(economy, shards) for _ in range(12)]
        yield Line(f"reward a query of {shards} x 4 members", found[0], found[-1])


def _reward(economy: Economy, shards: int) -> int:
    query, outcome, members = economy.final(shards)
    root = version_root(bytes([shards]) * 32, facts(shards), b"\x02" * 32)
    given = (query.as_abi(), outcome_as_abi(outcome), members, economy.world.developer, root)
    return economy.gas(economy.emitter, economy.emitter.reward, *given)


def delegation_lines(economy: Economy) -> Iterator[Line]:
    """Delegating, leaving, and what delegators add to a withdrawal."""
    pool, emitter, world = economy.pool, economy.emitter, economy.world
    owners = [owner for owner in world.owners.values() if emitter.credit_of(owner)]
    alone, joined = owners[0], owners[1]
    bare = economy.gas(emitter, emitter.withdraw, alone)
    pool.announce_commission(1_000, sender=joined)
    delegate = [economy.gas(pool, pool.delegate, joined, STAKE, 0) for _ in range(2)]
    shared = economy.gas(emitter, emitter.withdraw, joined)
    shares = pool.shares_of(joined, economy.client) // 2
    leave = [economy.gas(pool, pool.begin_exit, joined, shares) for _ in range(2)]
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    paid = economy.gas(pool, pool.withdraw, joined, economy.client)
    yield Line("withdraw new NES, operator alone", bare, bare)
    yield Line("withdraw new NES, with delegators", shared, shared)
    yield Line("delegate", *delegate)
    yield Line("begin an exit", *leave)
    yield Line("withdraw an exit", paid, paid)


def page(lines: Iterable[Line]) -> str:
    """The lines as markdown."""
    head = "| transaction | gas, first | gas, later |\n|---|---:|---:|"
    return "\n".join(["# Gas of the economy", "", __doc__ or "", head, *map(str, lines), ""])


def main() -> None:
    """Measures, prints and keeps the table."""
    economy = build()
    lines = [*escrow_lines(economy), *reward_lines(economy), *delegation_lines(economy)]
    text = page(lines)
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
