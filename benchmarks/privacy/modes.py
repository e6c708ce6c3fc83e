"""What every mode of privacy costs beside OPEN: `python -m benchmarks.privacy.modes [--runs N]`.

One network of real processes with blocks of a second; a query of every kind in turns, one at a
time, all about the same rows of breast-cancer-mlp. Each answer is held against the public model's.
`--minilm FOLDER` asks the compiled MiniLM in that folder instead, in every mode but PROVED.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.privacy.traffic import counted
from nesa.chain.connection import RpcPolicy
from nesa.client.answers import Answer
from nesa.client.client import Client
from nesa.client.modes import AsVersion, Equivariant, Open, Sealed, Shared, Split
from nesa.client.sharing import SharedPublicModel, SharedResult
from nesa.client.splitting import SplitModel
from nesa.devnet.layout import find_clone
from nesa.devnet.models import make_proving_keys
from nesa.devnet.network import Devnet, DevnetSettings, prepare, running_devnet
from nesa.models.folder import CompiledModel, load, save
from nesa.models.reference import run
from nesa.privacy.equivariant.folders import transformed_model
from nesa.privacy.equivariant.user_keys import UserKey
from nesa.privacy.split.parts import split
from nesa.privacy.split.places import places
from nesa.privacy.split.publishing import write_middle
from nesa.protocol.ids import ONE_NES, Address, Amount

ROOT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = ROOT / "benchmarks" / "results"
PLAIN: Final = ROOT / "models" / "breast-cancer-mlp"
HASHED: Final = ROOT / "models" / "hashed" / "breast-cancer-mlp-hashed"
POLL: Final = RpcPolicy(poll=0.1)
RUNS: Final = 9
SEATS: Final = 4
"""Members of a shard's committee."""

Reply = Answer | SharedResult


@dataclass(frozen=True, slots=True)
class Sample:
    """One query.

    `seconds` are from the call to the answer, `prepared` those from when a session on shares was
    open and its first group done. `asked` and `reported` are bytes of calldata, of the client and
    of the report; `sent` and `received` those exchanged with members, on the wire.
    """

    seconds: float
    prepared: float | None
    asked: int
    reported: int
    sent: int
    received: int
    client_gas: int
    report_gas: int
    price: Amount


@dataclass(frozen=True, slots=True)
class Paid:
    """A transaction: who sent it, in lower case, bytes of its calldata, gas that it used."""

    sender: str
    calldata: int
    gas: int


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """A reply, and how long it took; see `Sample`."""

    reply: Reply
    seconds: float
    prepared: float | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of query: `ask` asks about a row of features, `beside` names the kind whose figures
    its own are compared with, `quote` says what it costs."""

    name: str
    beside: str
    ask: Callable[[Any], Awaitable[Timed]]
    quote: Callable[[], Awaitable[Amount]]


@dataclass(frozen=True, slots=True, eq=False)
class Versions:
    """The plain model, and what was made of it for modes that ask a version of their own; `hashed`
    is there where it can be proved."""

    plain: CompiledModel
    folder: Path
    hashed: Path | None
    held: UserKey
    under_key: Path
    middle: Path

    @classmethod
    def write(cls, plain: Path, hashed: Path | None, folder: Path) -> Versions:
        """The model under a new key, and its middle layers, in folders; all in as many shards.

        The middle goes from the first row where a split may begin to the last.
        """
        model = load(plain)
        held = UserKey.generate(model)
        made = transformed_model(model, held)
        save(made, folder / made.name)
        begins = [each.row for each in places(model.table) if each.sent]
        middle = folder / f"{model.name}-middle"
        parts = split(model.table, begins[0], begins[-1])
        write_middle(model, parts, len(model.shards), middle)
        return cls(model, plain, hashed, held, folder / made.name, middle)

    @property
    def folders(self) -> tuple[Path, ...]:
        """What a network has to serve."""
        proved = () if self.hashed is None else (self.hashed,)
        return (self.folder, *proved, self.under_key, self.middle)


def miners_for(plain: CompiledModel) -> int:
    """As many as fill the committees of all shards, and no fewer than two shards need."""
    return SEATS * max(2, len(plain.shards))


class Meter:
    """Takes the measure of queries, and holds every answer against the public model's."""

    def __init__(self, client: Client, devnet: Devnet, plain: CompiledModel) -> None:
        self._client = client
        self._plain = plain
        self._node = int(devnet.network.rpc_url.rstrip("/").rsplit(":", 1)[1])
        self._oracles = {one for each in devnet.oracles for one in (each.owner, each.signer)}

    async def sample(self, kind: Kind, row: int) -> Sample:
        """Ask about a test row; nothing else is asked meanwhile.

        Raises:
            AssertionError: the answer is not what the integer model says.
        """
        before = (await self._client.connection.head()).number
        with counted() as wire:
            timed = await kind.ask(self._plain.test_rows().features[row])
        self._check(row, timed.reply)
        sent, received = wire.besides(self._node)
        paid = [one async for one in self._transactions(before)]
        asked, client_gas = _sums(paid, {self._client.address})
        reported, report_gas = _sums(paid, self._oracles)
        bytes_ = (asked, reported, sent, received)
        costs = (client_gas, report_gas, await kind.quote())
        return Sample(timed.seconds, timed.prepared, *bytes_, *costs)

    def _check(self, row: int, reply: Reply) -> None:
        plain = self._plain
        data = plain.input_edge.encode(plain.test_rows().inputs[row])
        (expected,) = run(plain.table, (data,))
        if plain.output_edge.encode(reply.output.integers) != expected:
            raise AssertionError(f"row {row}: the answer is not the model's")

    async def _transactions(self, before: int) -> AsyncIterator[Paid]:
        """Whatever was sent behind a block."""
        request = self._client.connection.request
        for number in range(before + 1, (await self._client.connection.head()).number + 1):
            block = await request("eth_getBlockByNumber", hex(number), True)
            for sent in block["transactions"]:
                receipt = await request("eth_getTransactionReceipt", sent["hash"])
                gas = int(receipt["gasUsed"], 16)
                yield Paid(sent["from"].lower(), len(sent["input"]) // 2 - 1, gas)


def _sums(paid: Iterable[Paid], senders: set[Address]) -> tuple[int, int]:
    """Bytes of calldata and gas of what these accounts sent."""
    wanted = {sender.lower() for sender in senders}
    own = [one for one in paid if one.sender in wanted]
    return sum(one.calldata for one in own), sum(one.gas for one in own)


async def on_market(
    client: Client, name: str, mode: AsVersion, assurance: str, features: Any
) -> Timed:
    """A query of a version; of a CHALLENGED one until its answer is reported."""
    begun = time.perf_counter()
    if assurance == "CHALLENGED":
        assert not isinstance(mode, Split)
        submitted = await client.submit(name, features, privacy=mode, assurance=assurance)
        answer = await client.result(submitted, early=True)
    else:
        answer = await client.ask(name, features, privacy=mode, assurance=assurance)
    return Timed(answer, time.perf_counter() - begun)


async def on_shares(client: Client, shared: SharedPublicModel, features: Any) -> Timed:
    """A query on shares, its session opened for it."""
    begun = time.perf_counter()
    async with client.shared_session(shared) as session:
        await session.prepare()
        prepared = time.perf_counter()
        result = await session.ask(features)
        ended = time.perf_counter()
    return Timed(result, ended - begun, ended - prepared)


def kinds(client: Client, made: Versions, shared: SharedPublicModel) -> Sequence[Kind]:
    """Every kind of query, those that others are compared with first."""
    plain = made.plain.name
    under = Equivariant(made.held, sealed=False)
    middle = Split(SplitModel.read(made.folder, made.middle), sealed=False)

    def market(name: str, model: str, mode: AsVersion) -> Kind:
        assurance = name.rsplit(maxsplit=1)[-1]
        ask = partial(on_market, client, model, mode, assurance)
        quote = partial(client.quote, model, privacy=mode, assurance=assurance)
        return Kind(name, f"OPEN {assurance}", ask, quote)

    agreed = (
        market("OPEN AGREED", plain, Open()),
        market("SEALED AGREED", plain, Sealed()),
        market("EQUIVARIANT AGREED", made.under_key.name, under),
        market("SPLIT AGREED", made.middle.name, middle),
        Kind(
            "SHARED",
            "OPEN AGREED",
            partial(on_shares, client, shared),
            partial(client.quote, plain, privacy=Shared(shared)),
        ),
        market("OPEN CHALLENGED", plain, Open()),
        market("SEALED CHALLENGED", plain, Sealed()),
    )
    if made.hashed is None:
        return agreed
    hashed = load(made.hashed).name
    return (
        *agreed,
        market("OPEN PROVED", plain, Open()),
        market("SEALED PROVED", hashed, Sealed()),
    )


async def measure(runs: int, plain: Path, hashed: Path | None) -> Mapping[Kind, Sequence[Sample]]:
    """Queries of each kind in turns, on one network; the first of each is not counted, since it
    loads what the others find."""
    shared = SharedPublicModel.read(plain)
    with TemporaryDirectory() as folder:
        made = Versions.write(plain, hashed, Path(folder))
        await prepare(print, (made.plain.name,))
        if hashed is not None:
            await make_proving_keys((hashed,), find_clone().proving_cache, print)
        settings = DevnetSettings(
            Path(folder) / "net",
            miners=miners_for(made.plain),
            seated=(*(load(each).name for each in made.folders), shared.first_product),
            models=tuple(each for each in made.folders if each.parent != ROOT / "models"),
            shared=(plain,),
        )
        async with (
            running_devnet(settings, print) as devnet,
            Client.connect(devnet.network, policy=POLL) as client,
        ):
            return await _samples(runs, Meter(client, devnet, made.plain), client, made, shared)


async def _samples(
    runs: int, meter: Meter, client: Client, made: Versions, shared: SharedPublicModel
) -> Mapping[Kind, Sequence[Sample]]:
    found: dict[Kind, list[Sample]] = {one: [] for one in kinds(client, made, shared)}
    for row in range(runs + 1):
        for kind, samples in found.items():
            samples.append(await meter.sample(kind, row))
            print(f"{kind.name}, row {row}: {samples[-1].seconds:.2f} s", flush=True)
    return {kind: samples[1:] for kind, samples in found.items()}


def page(plain: CompiledModel, found: Mapping[Kind, Sequence[Sample]]) -> str:
    """The table and what to know of it."""
    typical = {kind.name: _typical(samples) for kind, samples in found.items()}
    runs = len(next(iter(found.values())))
    head = (
        f"{plain.name} in {len(plain.shards)} shards on a network of "
        f"{miners_for(plain)} miners and two oracles, 1 s blocks, on one "
        f"{platform.machine()} machine with {os.cpu_count()} cores; medians of {runs} queries of "
        f"each kind, asked in turns at commit {_commit()}. `x` is the share of what the same "
        "assurance takes OPEN. Written by `python -m benchmarks.privacy.modes`."
    )
    columns = (
        "| query | seconds | x | calldata of the client | of the report | to members "
        "| from members | gas of the client | x | of the report | x | NES |"
    )
    rows = [_line(kind, typical) for kind in found]
    lines = ["# What every mode costs", "", head, "", columns, "|---" + "|--:" * 11 + "|"]
    return "\n".join([*lines, *rows, "", *NOTES])


NOTES: Final = (
    "* Bytes to and from members are those on the wire, with the headers of HTTP; members' bytes "
    "among each other and the client's polling of its node are not in them.",
    "* SHARED in brackets: from when the session is open and its first group has done its part, "
    "which is before the input is known. Its gas is that of opening; nothing is reported, and each "
    "member's redemption is in [sessions](sessions.md).",
    "* CHALLENGED is timed until its answer is reported, which may be disputed from then on; that "
    "it is final is said by a transaction behind the dispute window, which is not in these sums.",
    "* EQUIVARIANT and SPLIT are asked in the open here, so that their own cost is seen; by "
    "default they are sealed, which takes what SEALED takes.",
    "* SEALED PROVED asks the version whose circuits hash, OPEN PROVED that whose circuits show.",
    "* NES is what is put down at this network's prices, which developers set; of SHARED the "
    "deposit, of which members earn price times products and the rest comes back.",
)


def _typical(samples: Sequence[Sample]) -> Sample:
    """The median of every figure."""
    names = ("seconds", "asked", "reported", "sent", "received", "client_gas", "report_gas")
    figures = {name: median(getattr(one, name) for one in samples) for name in names}
    prepared = [one.prepared for one in samples if one.prepared is not None]
    return replace(samples[0], **figures, prepared=median(prepared) if prepared else None)


def _line(kind: Kind, typical: Mapping[str, Sample]) -> str:
    one, other = typical[kind.name], typical[kind.beside]
    seconds = f"{one.seconds:.2f}" + (f" ({one.prepared:.2f})" if one.prepared else "")
    sizes = [f"{size:,.0f} B" for size in (one.asked, one.reported, one.sent, one.received)]
    gas = [f"{one.client_gas:,.0f}", _ratio(one.client_gas, other.client_gas)]
    gas += [f"{one.report_gas:,.0f}", _ratio(one.report_gas, other.report_gas)]
    cells = [kind.name, seconds, _ratio(one.seconds, other.seconds), *sizes, *gas]
    cells.append(f"{one.price / ONE_NES:g}")
    return "| " + " | ".join(cells) + " |"


def _ratio(figure: float, of: float) -> str:
    return f"{figure / of:.2f}" if figure else "-"


def _commit() -> str:
    words = ["git", "rev-parse", "--short", "HEAD"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return told.stdout.strip()


def main() -> None:
    """Measure and print; write the page where `--write` is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--minilm", type=Path, metavar="FOLDER", help="ask this compiled model")
    parser.add_argument("--write", action="store_true", help=f"write into {RESULTS}")
    options = parser.parse_args()
    given = (PLAIN, HASHED) if options.minilm is None else (options.minilm, None)
    text = page(load(given[0]), asyncio.run(measure(options.runs, *given)))
    print(text)
    if options.write:
        name = "privacy-modes.md" if options.minilm is None else "privacy-modes-minilm.md"
        (RESULTS / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
