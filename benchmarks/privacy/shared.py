"""What SHARED costs over plaintext: `python -m benchmarks.privacy.shared [--minilm FOLDER]`.

The client and one member of each group take turns in one thread, and each one's time of the
processor is counted. Messages are the real ones, encoded, hashed and signed. Plaintext is the
public model in ONNX Runtime with one thread. A group's work on digits, which the network takes,
stands beside the same work on whole shares modulo 2**32 by float64 GEMM, and products of two
secrets at the client beside Beaver triples. FOLDER holds MiniLM as scripts/minilm.py tells to make
it; without it MiniLM is left out.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import onnxruntime as ort
from eth_keys.datatypes import PrivateKey
from numpy.typing import NDArray

from nesa.models.folder import CompiledModel, load
from nesa.models.graph import Held, Integers, Opcode, ParameterKind, Row, Table
from nesa.models.opcodes.conv import ConvAttributes, patches_of
from nesa.models.runtime import ShardRunner, run_all
from nesa.privacy.shared.agreeing import Question
from nesa.privacy.shared.checking import Check
from nesa.privacy.shared.members import GroupMember, held_product
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.ring import Ring, Triple, drawn, from_ring, product, share_of_product
from nesa.privacy.shared.seeds import ShareSeed
from nesa.privacy.shared.session import SharedModel
from nesa.privacy.shared.statements import Session
from nesa.privacy.shared.wire import ShareRequest, encode_request
from nesa.protocol.ids import Address, Digest, QueryId
from nesa.protocol.sessions import FIRST_SESSION

MODELS: Final = Path(__file__).resolve().parents[2] / "models"
MINILM: Final = MODELS.parent / ".build" / "minilm"
RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "shared.md"
SESSION: Final = Session(
    31337, Address("0x" + "11" * 20), QueryId(FIRST_SESSION + 1), Digest(b"\x22" * 32)
)
KEYS: Final = (PrivateKey(b"\x01" * 32), PrivateKey(b"\x02" * 32))

PUBLISHED: Final = """
Published elsewhere, on other hardware, with other guarantees: these hide the weights from the
client too, and most approximate the functions in between.

| what | model | figure | source |
|---|---|---|---|
| PUMA, three parties | LLaMA-7B | about 5 minutes a token | abstract of arXiv:2307.12533 |
| MPC before MPCFormer | transformers | over 60 x plaintext | abstract of arXiv:2211.01452 |
| BumbleBee, two parties, one host | BERT-base | 51.6 s, plaintext 6.5 s | ponyyuhan/SUF_new [1] |
| the same | BERT-base, 128 tokens | 289.8 s, plaintext 5.3 s | the same |
| BOLT, two parties, one host | BERT-base | 403 s, 26.9 GiB, 123,927 rounds | the same |
| SUF, two servers, GPU | BERT-base, 128 tokens | 2.3 s, 0.83 GB | the same |

[1] github.com/ponyyuhan/SUF_new, baseline_status_2026-01-26.md
"""


@dataclass(slots=True)
class Spent:
    """Seconds and bytes of one query; of both groups together where not said otherwise."""

    client: float = 0.0
    members: float = 0.0
    multiplying: float = 0.0
    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class WholeShares:
    """The same products on whole shares, both groups together."""

    multiplying: float = 0.0
    sent: int = 0
    received: int = 0


def main() -> None:
    """Print the page, and write it where `--write` is given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument(
        "--minilm",
        type=Path,
        default=MINILM,
        help="folder of scripts.minilm, with the compiled model in compiled/",
    )
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    options = parser.parse_args()
    folders = [MODELS / "breast-cancer-mlp", MODELS / "digits-cnn"]
    compiled = options.minilm / "compiled"
    if compiled.exists():
        folders.append(compiled)
    else:
        print(f"without MiniLM: there is no {compiled}", file=sys.stderr)
    page = report([load(folder) for folder in folders], options.runs)
    print(page)
    if options.write:
        RESULTS.write_text(page + "\n", encoding="utf-8")


def report(models: Sequence[CompiledModel], runs: int) -> str:
    """All tables in markdown."""
    costs, shapes, secrets = [], [], []
    for public in models:
        model = SharedModel(public.table)
        one, other = lines(public, model, runs)
        costs.append(one)
        shapes.append(other)
        if pairs := products_of_secrets(public.table):
            secrets.append(beaver_line(public, pairs, runs))
    return "\n".join(
        [
            "# Shared queries",
            "",
            f"{platform.processor() or platform.machine()}, ONNX Runtime {ort.__version__}, numpy "
            f"{np.__version__}, processor time of one thread, median of {runs} runs, one member "
            "a group. Every answer was equal to the public model's, bit for bit.",
            "",
            "| model | rounds | plaintext | client | a member | of which GEMM | sent | received |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
            *costs,
            "",
            "A member's work on digits against whole shares modulo 2**32:",
            "",
            "| model | GEMM, digits | GEMM, whole | sent, digits | whole | received, digits "
            "| whole |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *shapes,
            "",
            "Products of two secrets, all of a query together (the triples can be dealt before):",
            "",
            "| model | products | at the client | dealing | masking and adding | a group "
            "| more rounds | more bytes |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
            *secrets,
            PUBLISHED,
        ]
    )


def lines(public: CompiledModel, model: SharedModel, runs: int) -> tuple[str, str]:
    """One line of the first table and one of the second."""
    row = public.input_edge.encode(public.test_rows().inputs[0])
    plain = [ShardRunner(public.shard_file(i), facts) for i, facts in enumerate(public.shards)]
    wanted = run_all(plain, (row,))
    held = [held_product(one) for one in model.plan.products]
    queries = [query(model, held, (row,), wanted) for _ in range(runs + 1)][1:]
    whole = [whole_shares(model) for _ in range(runs + 1)][1:]
    plaintext = median_of(runs, partial(run_all, plain, (row,)))
    client, member, multiplying = (
        median(getattr(spent, name) / share for spent in queries)
        for name, share in (("client", 1), ("members", 2), ("multiplying", 2))
    )
    bytes_of = [(one.sent, one.received) for one in (queries[0], whole[0])]
    (sent, received), (whole_sent, whole_received) = bytes_of
    costs = [milliseconds(one) for one in (plaintext, client, member, multiplying)]
    sizes = [kilobytes(one) for one in (sent, received)]
    gemm = milliseconds(median(one.multiplying / 2 for one in whole))
    rest = [kilobytes(one) for one in (sent, whole_sent, received, whole_received)]
    rounds = len(model.plan.rounds)
    return (
        f"| {public.name} | {rounds} | {' | '.join(costs)} | {' | '.join(sizes)} |",
        f"| {public.name} | {costs[3]} | {gemm} | {' | '.join(rest)} |",
    )


class Turns:
    """A query whose parties take turns; `spent` is what each of them took."""

    def __init__(
        self, model: SharedModel, held: Sequence[ShardRunner], inputs: tuple[bytes, ...]
    ) -> None:
        self._model, self._held = model, held
        self._members = [GroupMember(key, SESSION, held) for key in KEYS]
        self._evaluation = model.parts.begin(inputs)
        self.spent = Spent()

    def run(self) -> tuple[bytes, ...]:
        """The outputs."""
        number, rounds = 0, self._model.plan.rounds
        for place, products in enumerate(rounds):
            self.spent.client += seconds(partial(self._evaluation.run, place))
            for one in products:
                begun, before = time.thread_time(), self.spent.members
                self._multiply(one, number)
                theirs = self.spent.members - before
                self.spent.client += time.thread_time() - begun - theirs
                number += 1
        self.spent.client += seconds(partial(self._evaluation.run, len(rounds)))
        return self._evaluation.outputs

    def _multiply(self, one: Product, number: int) -> None:
        """As the session does it; whatever is not a member's time is the client's."""
        seed, check = ShareSeed(), Check(one)
        first = seed.expand(one)
        second = one.digits.rest(self._evaluation.value(one.value), first)
        context = SESSION.product(number)
        questions = [
            Question(one, context, 0, one.digits_of(share), check) for share in (first, second)
        ]
        requests = [
            ShareRequest(number, 0, seed.data, None),
            ShareRequest(number, 0, None, questions[1].digits.tobytes()),
        ]
        sums = map(self._asked, self._members, questions, requests)
        self._evaluation.put(one.combined(*sums))

    def _asked(self, member: GroupMember, question: Question, request: ShareRequest) -> Held:
        data = encode_request(request)
        begun = time.thread_time()
        reply = member.answer(data)
        self.spent.members += time.thread_time() - begun
        self.spent.sent += len(data)
        self.spent.received += len(reply)
        claim = question.read(reply, member.address)
        if not question.accepts(claim):
            raise AssertionError("a right share was refused")
        return claim.sums


def query(
    model: SharedModel,
    held: Sequence[ShardRunner],
    inputs: tuple[bytes, ...],
    wanted: tuple[bytes, ...],
) -> Spent:
    """One query by turns, and the members' runs once more on their own."""
    turns = Turns(model, held, inputs)
    if turns.run() != wanted:
        raise AssertionError("the groups' answer is not that of the public model")
    for one, its in zip(model.plan.products, held, strict=True):
        digits = ShareSeed().expand(one).tobytes()
        turns.spent.multiplying += 2 * seconds(partial(its.run, (digits,)))
    return turns.spent


def whole_shares(model: SharedModel) -> WholeShares:
    """Both groups' products of one query on drawn shares of four bytes an element."""
    spent, table = WholeShares(), model.plan.table
    for one in model.plan.products:
        for _ in range(2):
            share = drawn(one.shape)
            for sums in one.sums:
                row = table.rows[sums.value - len(table.inputs)]
                spent.multiplying += seconds(partial(whole_product, row, share))
            spent.received += 4 * sum(int(np.prod(sums.shape)) for sums in one.sums)
        spent.sent += 4 * int(np.prod(one.shape)) + 32
    return spent


def whole_product(row: Row, share: Ring) -> Ring:
    """A row's sums of a share modulo 2**32, without biases."""
    weights = row.held(ParameterKind.WEIGHTS)
    if row.opcode is Opcode.LINEAR:
        return product(share, weights.T.astype(np.int64))
    window = ConvAttributes(*row.attributes)
    patches = patches_of(share[0].astype(np.int64), window).astype(np.uint32)
    grouped = weights.reshape(window.groups, -1, window.operands).astype(np.int64)
    return product(patches.transpose(0, 2, 1), grouped.transpose(0, 2, 1))


def products_of_secrets(table: Table) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Shapes of both factors of every MatMul that is more than a scaling of rows."""
    rows = [row for row in table.rows if row.opcode is Opcode.MATMUL and min(row.attributes) > 1]
    return [(table.type_of(r.inputs[0]).shape, table.type_of(r.inputs[1]).shape) for r in rows]


def beaver_line(
    public: CompiledModel, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], runs: int
) -> str:
    """One line of the third table."""
    generator = np.random.default_rng(0)
    factors = [tuple(generator.integers(-127, 128, shape) for shape in pair) for pair in pairs]
    own = median_of(runs, partial(_all_products, factors))
    found = [_beaver(factors) for _ in range(runs)]
    dealing, masking, group = (median(one[place] for one in found) for place in range(3))
    size = sum(
        4 * 2 * (left.size + right.size) + 4 * 2 * int(np.prod((*left.shape[:-1], right.shape[-1])))
        for left, right in factors
    )
    times = " | ".join(milliseconds(one) for one in (own, dealing, masking, group))
    return f"| {public.name} | {len(pairs)} | {times} | {len(pairs)} | {kilobytes(size)} |"


def _all_products(factors: Sequence[tuple[Integers, ...]]) -> list[NDArray[np.float32]]:
    return [left.astype(np.float32) @ right.astype(np.float32) for left, right in factors]


def _beaver(factors: Sequence[tuple[Integers, ...]]) -> tuple[float, float, float]:
    """Seconds of the client before, of the client in the query, and of one group."""
    spent = [0.0, 0.0, 0.0]
    for left, right in factors:
        begun = time.thread_time()
        triple = Triple(left.shape, right.shape)
        dealt = time.thread_time()
        masked = triple.mask(left, right)
        sent = time.thread_time()
        shares = [
            share_of_product(share, masked, is_first=place == 0)
            for place, share in enumerate(triple.shares)
        ]
        come = time.thread_time()
        whole = from_ring(shares[0] + shares[1])
        added = time.thread_time()
        if not np.array_equal(whole, left @ right):
            raise AssertionError("a triple gave another product")
        for place, span in enumerate((dealt - begun, sent - dealt + added - come, come - sent)):
            spent[place] += span / (2 if place == 2 else 1)
    return spent[0], spent[1], spent[2]


def seconds(what: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.thread_time()
    what()
    return time.thread_time() - begun


def median_of(runs: int, what: Callable[[], object]) -> float:
    """Median of so many calls behind a first one."""
    return median([seconds(what) for _ in range(runs + 1)][1:])


def milliseconds(spent: float) -> str:
    """For a cell."""
    return f"{spent * 1e3:.2f} ms" if spent < 0.01 else f"{spent * 1e3:.0f} ms"


def kilobytes(size: float) -> str:
    """For a cell."""
    return f"{size / 1e3:,.1f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


if __name__ == "__main__":
    main()
