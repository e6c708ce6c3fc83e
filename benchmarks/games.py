"""Gas of whole element games, won by a challenger: `python -m benchmarks.games`.

A signer follows its lie through a real court to the end. Every move is a transaction of its own on
cold storage, calldata and intrinsic gas included. The market is a stand-in to which every outcome
is right, since most of the models are larger than an input on chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from eth_abi.abi import decode
from eth_utils.crypto import keccak

from benchmarks.disputes import attention, convolution, dense, normalisation
from nesa.chain.abi import interface
from nesa.chain.court import NO_VIEW
from nesa.models.disputes.encoding import encoded_accusation, encoded_move, encoded_position
from nesa.models.disputes.game import Claimed, Ended, Opened, Side, State, step, to_move
from nesa.models.disputes.moves import Convict, Move
from nesa.models.disputes.parties import Challenger
from nesa.models.disputes.traces import Charge
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.protocol.commitments import ShardContext
from nesa.protocol.consent import sign_consent
from nesa.protocol.digests import edges_digest
from nesa.protocol.ids import (
    ONE_NES,
    ZERO_DIGEST,
    Address,
    Amount,
    BlockNumber,
    Digest,
    Epoch,
    QueryId,
    Timestamp,
    VersionId,
    VersionRoot,
)
from nesa.protocol.outcomes import members_digest, outcome_as_abi
from nesa.protocol.queries import Assurance, Outcome, Privacy, Query, ShardOutcome
from nesa.protocol.versions import VERSION_ROOT_DOMAIN, version_id
from scripts.deployment.profiles import PUBLIC
from tests.judging import witness_of
from tests.models.disputes.parties import Liar, falsified
from tests.reports import Work, keys_of, signer_address, statement_of
from tests.revm import RevmChain, RevmContract

RESULTS: Final = Path(__file__).parent / "results" / "games.md"
OWNER, CHALLENGER, CLIENT = (Address("0x" + f"{n}{n}" * 20) for n in (1, 2, 3))
SIGNERS: Final = tuple(keys_of([f"signer {n}" for n in range(4)]).values())
SHARDS_DIGEST: Final = keccak(text="shards")


@dataclass
class Courtroom:
    """A court whose market agrees to everything, and four operators with stake."""

    chain: RevmChain = field(default_factory=RevmChain)

    def __post_init__(self) -> None:
        profile = PUBLIC
        parameters = (astuple(profile.query), astuple(profile.limits), OWNER, OWNER)
        self.token = self.deploy("token/NesToken", OWNER, 10**17)
        knobs = self.deploy(
            "governance/ProtocolParameters", *parameters, profile.maximum_query_seconds
        )
        router = self.deploy("verification/ProofRouter")
        registry = self.deploy("registry/ModelRegistry", router)
        clocks = (profile.epoch_seconds, profile.unbonding_seconds, OWNER)
        self.vault = self.deploy("staking/StakeVault", self.token, registry, knobs, *clocks)
        self.market = market = self.chain.deploy("tests/contracts/harness/StubMarket")
        judges = [self.deploy(f"disputes/{name}Judge") for name in ("Fold", "Element")]
        conviction = self.deploy("disputes/Conviction", *judges)
        below = (self.token, knobs, registry, router, self.vault, market)
        game = self.deploy("disputes/ElementGame")
        self.court = self.deploy("disputes/DisputeCourt", *below, game, conviction)
        self.vault.set_slasher(self.court.address, sender=OWNER)
        self.token.transfer(CHALLENGER, 10**16, sender=OWNER)
        self.token.approve(self.court.address, 2**256 - 1, sender=CHALLENGER)
        for number, key in enumerate(SIGNERS):
            self._join(Address("0x" + f"4{number}" * 20), key)

    def deploy(self, name: str, *arguments: Any) -> RevmContract:
        """A contract below `contracts/`."""
        plain = [a.address if isinstance(a, RevmContract) else a for a in arguments]
        return self.chain.deploy(f"contracts/{name}", *plain, sender=OWNER)

    def _join(self, operator: Address, key: Any) -> None:
        stake = 10 * PUBLIC.limits.seat_stake
        consent = sign_consent(key, self.chain.chain_id, Address(self.vault.address), operator)
        given = (signer_address(key), consent, b"\x01" * 32, "https://example.org")
        self.vault.register_operator(*given, sender=operator)
        self.token.transfer(operator, stake, sender=OWNER)
        self.token.approve(self.vault.address, stake, sender=operator)
        self.vault.deposit(stake, sender=operator)


@dataclass(frozen=True, slots=True)
class Cost:
    """One transaction of a dispute."""

    what: str
    side: Side | None
    gas: int
    calldata: int


@dataclass
class Dispute:
    """One lie from the challenge to its end."""

    room: Courtroom
    truth: Witness
    lie: Witness
    costs: list[Cost] = field(default_factory=list)
    seconds: float = 0.0

    def run(self) -> list[Cost]:
        """Every transaction, in order."""
        liar = Liar(self.lie, 0, lambda count: count // 2)
        challenger = Challenger(self.truth, 0)
        query, outcome, version = self._answer(liar.charge)
        challenge = self._open(query, outcome, version)
        signer = str(signer_address(SIGNERS[0]))
        state: State = Opened(liar.charge)
        while (side := to_move(state)) is not None:
            began = perf_counter()
            move: Any = (liar if side is Side.DEFENDER else challenger).reply(state)  # type: ignore[arg-type]
            self.seconds += perf_counter() - began
            assert move is not None, "the challenger found nothing"
            self._play(challenge, signer, liar.charge, state, side, move)
            state = step(state, move)
        assert isinstance(state, Ended)
        self.room.chain.mine(1, PUBLIC.query.defence_window + 1)
        self._send("conclude", None, "conclude", challenge, query.as_abi(), outcome_as_abi(outcome))
        return self.costs

    def _answer(self, charge: Charge) -> tuple[Query, Outcome, tuple[Any, ...]]:
        signers = [signer_address(key) for key in SIGNERS]
        metadata = bytes(32)
        root = keccak(VERSION_ROOT_DOMAIN + charge.operators_root + SHARDS_DIGEST + metadata)
        version = (OWNER, charge.operators_root, SHARDS_DIGEST, metadata)
        query = _query(version_id(OWNER, VersionRoot(root)), charge.in_digest)
        settled = ShardOutcome(
            0, Digest(charge.out_digest), ZERO_DIGEST, members_digest(signers), 0b1111
        )
        now = Timestamp(self.room.chain.timestamp)
        outcome = Outcome(ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, OWNER, now, (settled,))
        return query, outcome, version

    def sue(self) -> list[Cost]:
        """One member is sued for the lie instead of a committee challenged."""
        query, _, version = self._answer(Liar(self.lie, 0, lambda count: count // 2).charge)
        query = replace(query, answer_deadline=Timestamp(self.room.chain.timestamp))
        digests = [self.lie.digest(value) for value in self.lie.table.outputs]
        context = ShardContext(
            self.room.chain.chain_id,
            Address(self.room.market.address),
            query.query_id,
            0,
            Digest(bytes(32)),
            0,
        )
        work = Work(context, SIGNERS, query.input_digest, edges_digest(digests))
        said = statement_of(work, 0, work.commitments())
        court = self.room.court
        self._send(
            "announce", Side.CHALLENGER, "announce", court.claim_of(CHALLENGER, said.evidence)
        )
        self.room.chain.mine()
        given = (query.as_abi(), version, said.shard_as_abi(), said.as_abi(), NO_VIEW.as_abi(), 0)
        self._send("sue", Side.CHALLENGER, "sue", *given)
        return self.costs

    def _open(self, query: Query, outcome: Outcome, version: tuple[Any, ...]) -> tuple[Any, ...]:
        court, signers = self.room.court, [signer_address(key) for key in SIGNERS]
        evidence = court.challenge_evidence(query.query_id, 0, outcome.shards[0].out_digest)
        self._send("announce", Side.CHALLENGER, "announce", court.claim_of(CHALLENGER, evidence))
        self.room.chain.mine()
        given = (query.as_abi(), outcome_as_abi(outcome), 0, signers, version, NO_VIEW.as_abi())
        self._send("open", Side.CHALLENGER, "open_challenge", *given)
        log = next(log for log in self.room.chain.logs if log.address == court.address)
        (challenge,) = decode([_CHALLENGE], log.data)
        return tuple(challenge)

    def _play(
        self,
        challenge: tuple[Any, ...],
        signer: str,
        charge: Charge,
        state: State,
        side: Side,
        move: Move,
    ) -> None:
        name, position = type(move).__name__, encoded_position(charge, state)
        if isinstance(state, Opened):
            self._send(name, side, "defend", challenge, signer, encoded_move(state, move))
        elif isinstance(move, Convict):
            assert isinstance(state, Claimed)
            data = encoded_accusation(state, move)
            self._send(name, side, "convict", challenge, signer, position, data)
        else:
            data = encoded_move(state, move)
            self._send(name, side, "play", challenge, signer, position, data)

    def _send(self, what: str, side: Side | None, function: str, *arguments: Any) -> None:
        chain, court = self.room.chain, self.room.court
        sender = signer_address(SIGNERS[0]) if side is Side.DEFENDER else CHALLENGER
        chain.cool()
        data = interface("DisputeCourt").function(function, len(arguments)).encode(arguments)
        chain.send(sender, court.address, data)
        self.costs.append(Cost(what, side, chain.gas_used, len(data)))
        chain.mine()


_CHALLENGE: Final = (
    "(uint256,address,uint256,address,(bytes32,uint256,uint256,bytes32,bytes32),address[],"
    "uint256,uint256,uint256,uint256,uint256,address)"
)


def _query(version: VersionId, in_digest: bytes) -> Query:
    return Query(
        query_id=QueryId(1),
        requester=CLIENT,
        version_id=version,
        input_digest=Digest(in_digest),
        output_edge=bytes(32),
        assurance=Assurance.AGREED,
        privacy=Privacy.OPEN,
        shards=1,
        replicas=4,
        base_fee=Amount(4 * ONE_NES),
        proof_fee=Amount(0),
        callback_fee=Amount(0),
        callback_gas=0,
        epoch=Epoch(0),
        seat_counts=0,
        parameters=PUBLIC.query.pack(),
        opened_at=Timestamp(0),
        answer_deadline=Timestamp(0),
        attempt=0,
        seed_block=BlockNumber(0),
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
        dispute = Dispute(Courtroom(), truth, lie)
        every += dispute.run() + Dispute(Courtroom(), truth, lie).sue()
        lines.append(line(subject, dispute.costs, dispute.seconds))
        print(lines[-1], flush=True)
    text = _page(lines, by_kind(every))
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
