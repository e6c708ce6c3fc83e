"""Gas of the dispute court's transactions as a chain would charge it: `python -m benchmarks.court`.

On titanoboa, with the real market and vault below the court; `benchmarks.games` plays larger models
on pyrevm, below a market that agrees to everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from boa.contracts.vyper.vyper_contract import VyperContract

from benchmarks.gas import transaction_gas
from nesa.models.disputes.parties import Challenger
from nesa.models.judging import Witness
from tests.contracts.disputes.disputed import (
    after_the_defence,
    answer,
    ask,
    build_disputed_world,
    deploy_court,
    honest_witness,
    lying_witness,
    rich,
    split,
)
from tests.market import World

RESULTS: Final = Path(__file__).parent / "results" / "court.md"
MEASURED: Final = ("open_challenge", "sue", "defend", "play", "convict", "conclude")


@dataclass
class Meter:
    """A court that notes what its transactions cost, in order."""

    court: VyperContract
    costs: list[tuple[str, int]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.court, name)
        if name not in MEASURED:
            return function

        def sent(*arguments: Any, sender: str) -> Any:
            results: list[Any] = []
            call = lambda: results.append(function(*arguments, sender=sender))  # noqa: E731
            self.costs.append((name, transaction_gas(self.court, sender, call)))
            return results[0]

        return sent


@dataclass(frozen=True)
class Bench:
    """A world in which a lie is disputed, and who disputes it."""

    world: World
    meter: Meter
    challenger: str
    client: str
    truth: Witness
    lie: Witness

    @classmethod
    def built(cls) -> Bench:
        """A fresh world."""
        world = build_disputed_world()
        court, truth = deploy_court(world), honest_witness()
        people = (rich(world, "challenger", court), world.client())
        return cls(world, Meter(court), *people, truth, lying_witness(truth))

    def challenge(self) -> list[tuple[str, int]]:
        """A committee of four is challenged, and one of it follows the lie to the end."""
        query = ask(self.world, self.client, self.truth)
        answered = answer(self.world, self.meter, query, self.lie)  # type: ignore[arg-type]
        return self._played(answered.challenge(self.challenger), answered.signers(0)[0])

    def suit(self) -> list[tuple[str, int]]:
        """One member of a committee of four that split is sued."""
        query = ask(self.world, self.client, self.truth)
        sides = (self.truth, self.truth, self.lie, self.lie)
        torn = split(self.world, self.meter, query, sides)  # type: ignore[arg-type]
        return self._played(torn.sue(self.challenger, 2), torn.member(2))

    def _played(self, case: Any, signer: str) -> list[tuple[str, int]]:
        case.defend(signer, self.lie).to_the_end(Challenger(self.truth, 0))
        after_the_defence(case)
        case.conclude()
        costs = list(self.meter.costs)
        self.meter.costs.clear()
        return costs


def table(columns: dict[str, list[tuple[str, int]]]) -> str:
    """One line a transaction, in order, as markdown."""
    head = "| transaction | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns)
    lines = []
    for steps in zip(*columns.values(), strict=True):
        names = " / ".join(dict.fromkeys(name for name, _ in steps))
        lines.append(f"| {names} | " + " | ".join(f"{gas:,}" for _, gas in steps) + " |")
    return "\n".join([head, *lines])


def main() -> None:
    """Measures, prints and keeps the table."""
    bench = Bench.built()
    columns = {
        "first challenge": bench.challenge(),
        "later challenge": bench.challenge(),
        "suit": bench.suit(),
    }
    text = f"""# Gas of a dispute, transaction by transaction

A small dense network in two shards, four members; the lie is in the last row of the first shard,
and one member defends it until it is convicted. The challenger plays first after the defence, then
both take turns. *First*: nobody has used the court before. A *suit* is against one member of a
committee that split. Announcing is not in it. Written by `python -m benchmarks.court`.

{table(columns)}
"""
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
