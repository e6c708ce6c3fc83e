"""Gas of whole element games, won by a challenger, and of fault proofs.

A signer follows its lie through a real court to the end. Every move is a transaction of its own on
cold storage, calldata and intrinsic gas included. `python -m benchmarks.games` writes the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Self

import numpy as np
from eth_abi.abi import decode
from eth_utils.crypto import keccak

from benchmarks.courtroom import CHALLENGER, SIGNERS, Answer, Courtroom
from benchmarks.disputes import attention, convolution, dense, normalisation
from benchmarks.fault_proofs import measured_faults, page_of_faults
from nesa.chain.court import NO_VIEW
from nesa.models.disputes.encoding import encoded_accusation, encoded_move, encoded_position
from nesa.models.disputes.game import Claimed, Ended, Opened, Side, State, step, to_move
from nesa.models.disputes.moves import Convict, Move
from nesa.models.disputes.parties import Challenger, Defender
from nesa.models.disputes.traces import Charge
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Outcome
from scripts.deployment.profiles import PUBLIC
from tests.judging import witness_of
from tests.models.disputes.parties import Liar, falsified
from tests.reports import signer_address
from tests.revm import Revert

RESULTS: Final = Path(__file__).parent / "results" / "games.md"
SHARDS_DIGEST: Final = keccak(text="shards")


@dataclass(frozen=True, slots=True)
class Cost:
    """One transaction of a dispute; a move has the bytes of its position and of itself."""

    what: str
    side: Side | None
    gas: int
    calldata: int
    position: int = 0
    move: int = 0


@dataclass
class Dispute:
    """One challenge and one game, to the end; `state` is where the game ended.

    Whoever is wrong goes on to the end: a liar until it is convicted, a challenger until the judge
    finds nothing wrong, which `refused` counts, or there is nothing left to doubt. Then its time
    runs out.
    """

    room: Courtroom
    defender: Defender
    challenger: Challenger
    costs: list[Cost] = field(default_factory=list)
    seconds: float = 0.0
    state: State | None = None
    refused: int = 0

    @classmethod
    def of_lie(cls, room: Courtroom, truth: Witness, lie: Witness, shard: int = 0) -> Self:
        """A signer defends its lie against a challenger who holds the truth."""
        liar = Liar(lie, shard, lambda count: count // 2)
        return cls(room, liar, Challenger(truth, shard))

    @classmethod
    def of_doubt(cls, room: Courtroom, truth: Witness, lie: Witness, shard: int = 0) -> Self:
        """A signer defends the truth against a challenger who believes in a lie."""
        return cls(room, Defender(truth, shard), Challenger(lie, shard))

    def run(self) -> list[Cost]:
        """Every transaction, in order."""
        charge = self.defender.charge
        answer = Answer.about(self.room, charge, SHARDS_DIGEST)
        outcome = answer.outcome
        challenge = self._open(answer, outcome)
        signer = str(signer_address(SIGNERS[0]))
        self.state = self._to_the_end(challenge, signer, charge)
        if not isinstance(self.state, Ended):
            self.room.chain.mine(1, PUBLIC.query.move_window + 1)
            self._send("expire", None, "expire", challenge, signer)
        self.room.chain.mine(1, PUBLIC.query.defence_window + 1)
        ended = (challenge, answer.query.as_abi(), outcome_as_abi(outcome))
        self._send("conclude", None, "conclude", *ended)
        return self.costs

    def _open(self, answer: Answer, outcome: Outcome) -> tuple[Any, ...]:
        shard = self.defender.number
        self.costs.append(Cost("announce", Side.CHALLENGER, *answer.announce(shard)))
        given = (*answer.accusation(outcome, shard), NO_VIEW.as_abi())
        self._send("open", Side.CHALLENGER, "open_challenge", *given)
        court = self.room.court.address
        log = next(log for log in self.room.chain.logs if log.address == court)
        (challenge,) = decode([_CHALLENGE], log.data)
        return tuple(challenge)

    def _to_the_end(self, challenge: tuple[Any, ...], signer: str, charge: Charge) -> State:
        state: State = Opened(charge)
        while (side := to_move(state)) is not None:
            began = perf_counter()
            player: Any = self.defender if side is Side.DEFENDER else self.challenger
            move: Move | None = player.reply(state)
            self.seconds += perf_counter() - began
            if move is None or not self._play(challenge, signer, charge, state, side, move):
                break
            state = step(state, move)
        return state

    def _play(
        self,
        challenge: tuple[Any, ...],
        signer: str,
        charge: Charge,
        state: State,
        side: Side,
        move: Move,
    ) -> bool:
        """Sends a move; whether it is one, which an accusation of what is right is not."""
        name, position = type(move).__name__, encoded_position(charge, state)
        if isinstance(state, Opened):
            data = encoded_move(state, move)
            self._send(name, side, "defend", challenge, signer, data, move=data)
        elif isinstance(move, Convict):
            assert isinstance(state, Claimed)
            data = encoded_accusation(state, move)
            try:
                self._send(name, side, "convict", challenge, signer, position, data, move=data)
            except Revert as error:
                if error.reason != "court: nothing is wrong":
                    raise
                self.refused += 1
                return False
        else:
            data = encoded_move(state, move)
            self._send(name, side, "play", challenge, signer, position, data, move=data)
        return True

    def _send(
        self, what: str, side: Side | None, function: str, *arguments: Any, move: bytes = b""
    ) -> None:
        sender = signer_address(SIGNERS[0]) if side is Side.DEFENDER else CHALLENGER
        gas, calldata = self.room.send(sender, function, *arguments)
        position = len(arguments[2]) if function in ("play", "convict") else 0
        self.costs.append(Cost(what, side, gas, calldata, position, len(move)))


_CHALLENGE: Final = (
    "(uint256,address,uint256,address,(bytes32,uint256,uint256,bytes32,bytes32),address[],"
    "uint256,uint256,uint256,uint256,uint256,address)"
)


def subjects() -> Iterator[tuple[str, Table, int]]:
    """What is measured: tables, and the row in which the lie is."""
    for size in (64, 768, 4096):
        yield f"dense layer, K = {size:,}", dense(size), 0
    yield "convolution, 256 channels, 3 x 3, K = 2,304", convolution(), 0
    for name, table in (("LayerNorm of 384", normalisation()), ("softmax of 128", attention())):
        for index in _different(table):
            yield f"{name}: {table.rows[index].opcode.name}", table, index


def _different(table: Table) -> list[int]:
    # The last row of each operator.
    return sorted({row.opcode: index for index, row in enumerate(table.rows)}.values())


def witness(table: Table) -> Witness:
    """Whoever ran the table on random inputs."""
    generator = np.random.default_rng(1)
    draws = [generator.integers(e.low, e.high + 1, e.shape) for e in table.inputs]
    pairs = zip(table.inputs, draws, strict=True)
    return witness_of(table, [edge.encode(values) for edge, values in pairs])


def lying(truth: Witness, index: int) -> Witness:
    """The middle element of a row changed by one, and what follows from it."""
    table = truth.table
    edge = table.rows[index].output_type
    place = edge.elements // 2
    true = int(truth.values[table.output_of(index)].reshape(-1)[place])
    wrong = true + (1 if true < edge.high else -1)
    lie = falsified(truth, index, place, wrong, hide=False)
    if all(lie.digest(value) == truth.digest(value) for value in table.outputs):
        raise ValueError("the lie does not reach the output")
    return lie


def line(subject: str, costs: Iterable[Cost], seconds: float) -> str:
    """One row of the table."""
    spent = list(costs)
    moves = [cost for cost in spent if cost.what not in ("announce", "open", "conclude")]
    sides = {side: sum(c.gas for c in spent if c.side is side) for side in Side}
    leaf = next(cost.gas for cost in moves if cost.what == "Convict")
    claims = sum(c.gas for c in moves if c.what in ("Contest", "StateParts", "Convict"))
    numbers = (
        len(moves),
        sides[Side.CHALLENGER],
        sides[Side.DEFENDER],
        leaf,
        claims,
        max(cost.gas for cost in moves),
        sum(cost.calldata for cost in moves),
    )
    return f"| {subject} | " + " | ".join(f"{n:,}" for n in numbers) + f" | {seconds:.2f} |"


def by_kind(costs: Iterable[Cost]) -> list[str]:
    """Least and most gas of each kind of transaction."""
    kinds: dict[str, list[Cost]] = {}
    for cost in costs:
        kinds.setdefault(cost.what, []).append(cost)
    return [
        f"| {what} | {min(c.gas for c in found):,} | {max(c.gas for c in found):,} | "
        f"{max(c.calldata for c in found):,} |"
        for what, found in kinds.items()
    ]


def main() -> None:
    """Measures, prints and keeps the tables."""
    lines, every = [], []
    for subject, table, index in subjects():
        truth = witness(table)
        try:
            lie = lying(truth, index)
        except ValueError:
            continue
        dispute = Dispute.of_lie(Courtroom(), truth, lie)
        every += dispute.run()
        lines.append(line(subject, dispute.costs, dispute.seconds))
        print(lines[-1], flush=True)
    text = _page(lines, by_kind(every)) + page_of_faults(measured_faults())
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)


def _page(lines: list[str], kinds: list[str]) -> str:
    head = (
        "| lie in | moves | gas of the challenger | gas of the defender | conviction | "
        "claim moves | dearest move | bytes of calldata | seconds |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    kinds_head = "| transaction | least gas | most gas | most calldata |\n|---|---:|---:|---:|"
    return f"""# Gas of whole element games

Four signers, one lies to the end and is convicted. The challenger's gas includes announcing and
opening; claim moves are those about one element: contest, parts, conviction. Seconds are what both
sides compute, on one core. Written by `python -m benchmarks.games`.

{head}
{chr(10).join(lines)}

{kinds_head}
{chr(10).join(kinds)}
"""


if __name__ == "__main__":
    main()
