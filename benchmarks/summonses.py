"""Gas of summonses and of reports that pay a spare: `python -m benchmarks.summonses`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import boa

from benchmarks.gas import SEATS, transaction_gas
from nesa.protocol.ids import ONE_NES, Address, Digest
from nesa.protocol.queries import Query, report_words
from nesa.protocol.summons import Call, sign_answer
from tests.deployment import SUMMONS_RULES, next_epoch
from tests.market import TENSORS, World, build_world, go_to
from tests.summoning import Summoning, deploy_summons

RESULTS: Final = Path(__file__).parent / "results" / "summonses.md"

WARMING_QUERIES: Final = 24
SILENT: Final = 1
COMMITMENT: Final = Digest(b"\x05" * 32)
SPARES: Final = (0, 1, 2)


def measure() -> dict[str, int]:
    """Each transaction of a summons, of an operator that was summoned before."""
    summoning, caller, client = _surroundings()
    contract, gas = summoning.contract, dict[str, int]()
    for _ in range(SUMMONS_RULES.jail_misses + 1):
        query = _summonable(summoning, client)
        gas["summon"] = transaction_gas(
            contract, caller, lambda query=query: summoning.summon(query, 0, caller)
        )
        answered = summoning.summon(query, 2, caller)
        gas["answer"] = transaction_gas(
            contract, caller, lambda call=answered: _answer(summoning, call, caller)
        )
        silent = summoning.summon(query, SILENT, caller)
        go_to(silent.deadline + 1)
        gas["declare_absent"] = transaction_gas(
            contract, caller, lambda call=silent: contract.declare_absent(call.as_abi())
        )
        next_epoch()
    return gas


def measure_report(spares: int) -> int:
    """A report of four members in which so many are spares."""
    summoning, caller, client = _surroundings()
    world = summoning.world
    for _ in range(WARMING_QUERIES):
        world.fulfil(world.request(client))
    query = _summonable(summoning, client)
    calls = [summoning.summon(query, position, caller) for position in range(spares)]
    for call in calls:
        summoning.declare_absent(call)
    report, sender = summoning.report(query), boa.env.generate_address("reporter")
    go_to(query.opened_at + query.rules.oracle_turn * query.rules.oracle_turns)
    given = (query.as_abi(), report_words([report]), TENSORS[1][-1])
    send = partial(world.market.fulfil, *given, sender=sender)
    return transaction_gas(world.market, sender, send)


def _surroundings() -> tuple[Summoning, str, str]:
    world: World = build_world(SEATS, shards=(1,))
    contract = deploy_summons(world)
    world.lower.vault.set_summoner(contract, sender=world.setter)
    caller = world.client("caller", 1_000 * ONE_NES)
    return Summoning(world, contract), caller, world.client(amount=100_000 * ONE_NES)


def _summonable(summoning: Summoning, client: str) -> Query:
    query = summoning.world.request(client)
    summoning.may_summon(query)
    return query


def _answer(summoning: Summoning, call: Call, sender: str) -> None:
    key, address = summoning.world.keys[call.signer], Address(summoning.contract.address)
    signed = sign_answer(key, summoning.world.chain_id, address, call, COMMITMENT)
    summoning.contract.answer(call.as_abi(), COMMITMENT, *signed, sender=sender)


def main() -> None:
    """Measures, prints and keeps the tables."""
    gas = measure()
    rows = "\n".join(f"| {spares} | {measure_report(spares):,} |" for spares in SPARES)
    text = f"""# Gas of summonses

Each with its own transaction costs, once everybody was part of one before.
Written by `python -m benchmarks.summonses`.

| {" | ".join(name.replace("_", " ") for name in gas)} |
|{"---:|" * len(gas)}
| {" | ".join(f"{cost:,}" for cost in gas.values())} |

A report of one shard with four members paid, by the spares among them:

| spares | fulfil |
|---:|---:|
{rows}
"""
    print(text)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
