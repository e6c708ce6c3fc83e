"""All contracts on a local chain, seated operators with keys, and members that show evidence."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.abi import ContractCall, interface
from nesa.chain.anvil import CHAIN_ID, Anvil, development_account
from nesa.chain.committees import DrawnCommittees, drawn_committees
from nesa.chain.connection import Connection, RpcPolicy
from nesa.chain.contracts import ORACLE_SEATS, ZERO_ADDRESS, Contracts, Order
from nesa.chain.deployment import Deployment
from nesa.chain.events import AttemptOpened, QueryRequested, decode_event
from nesa.chain.sender import Receipt, Sender
from nesa.protocol.consent import sign_consent
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.evidence import ShardEvidence, encode_evidence
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST, Address, Amount, BlockNumber, Digest, VersionId
from nesa.protocol.queries import Assurance, Privacy, Query, ShardReport
from nesa.protocol.versions import ShardFacts
from scripts.deployment.plan import NAMINGS, STEPS, Accounts, deployment
from scripts.deployment.profiles import DEVNET
from tests.reports import Work, shard_works
from tests.revm import compiled_as

ROOT = Path(__file__).parents[2]
QUICK = RpcPolicy(timeout=5, retries=1, backoff=0.02, poll=0.05)
EPOCH = DEVNET.epoch_seconds
FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617

INPUT_EDGE = EdgeType(DType.INT8, (1, 30), -127, 127)
MIDDLE_EDGE = EdgeType(DType.INT8, (1, 16), -127, 127)
OUTPUT_EDGE = EdgeType(DType.INT16, (1, 2), -3000, 3000)
EDGES = (INPUT_EDGE, MIDDLE_EDGE, OUTPUT_EDGE)
TENSORS = (bytes(range(30)), bytes(range(40, 56)), bytes.fromhex("d4fe2c01"))
"""Types and canonical bytes of the boundaries of the one version, which has two shards."""

Show = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
"""How a member answers; it is given the honest body."""


def creation_code(path: str) -> bytes:
    """Initialisation code of a contract."""
    return bytes.fromhex(compiled_as(path.removesuffix(".vy"))["bytecode"][2:])


@cache
def operator_key(name: str) -> LocalAccount:
    """The signer of an operator; its owner is another account."""
    account: LocalAccount = Account.from_key(keccak(text=f"signer of {name}"))
    return account


@dataclass(frozen=True, slots=True)
class Operators:
    """Names of the operators by what they do."""

    shards: tuple[tuple[str, ...], ...] = (("a0", "a1", "a2", "a3"), ("b0", "b1", "b2", "b3"))
    oracles: tuple[str, ...] = ("o0", "o1")

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody."""
        return (*(name for shard in self.shards for name in shard), *self.oracles)


def held_port() -> socket.socket:
    """Keeps a port from everybody who does not say that it is to be shared; nobody listens yet."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held


@dataclass
class Network:
    """A chain with contracts and seats; all members answer at the port that `held` keeps free."""

    anvil: Anvil
    deployment: Deployment
    version_id: VersionId
    proved_id: VersionId
    held: socket.socket = field(default_factory=held_port)
    operators: Operators = field(default_factory=Operators)

    @property
    def port(self) -> int:
        """Where all members answer."""
        return int(self.held.getsockname()[1])

    def endpoint(self, name: str) -> str:
        """Where an operator answers."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def name_of(self, signer: Address) -> str:
        """The operator that signs as `signer`."""
        return next(n for n in self.operators.names if str(operator_key(n).address) == signer)

    def key(self, name: str) -> PrivateKey:
        """Key of an operator's signer."""
        return PrivateKey(bytes(operator_key(name).key))

    async def ask(self, connection: Connection, assurance: Assurance, blocks: int = 2) -> Query:
        """A client's query, `blocks` old; with one the seed block is the newest."""
        is_proved = assurance is Assurance.PROVED
        version = self.proved_id if is_proved else self.version_id
        order = Order(
            version, assurance, Privacy.OPEN, 1 if is_proved else 4, Amount(1000 * ONE_NES)
        )
        contracts = Contracts(connection)
        client = Sender(connection, development_account(0))
        await client.send(contracts.token.approve(contracts.market.address, order.max_fee))
        receipt = await client.send(contracts.market.request(order, TENSORS[0]))
        return self.announced(receipt, blocks)

    async def retry(self, connection: Connection, query: Query) -> Query:
        """The client's next attempt, two blocks old."""
        client = Sender(connection, development_account(0))
        return self.announced(await client.send(Contracts(connection).market.retry(query)), 2)

    def announced(self, receipt: Receipt, blocks: int) -> Query:
        """The query that a transaction asked, so many blocks later."""
        for log in receipt.logs:
            event = decode_event(log)
            if isinstance(event, QueryRequested | AttemptOpened):
                self.anvil.rpc("anvil_mine", hex(blocks))
                return event.query
        raise AssertionError("no query was announced")

    def time(self) -> int:
        """The second of the newest block."""
        return int(self.anvil.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def pass_time(self, seconds: int) -> None:
        """The next block is so many seconds after the newest, and here."""
        self.pass_to(self.time() + seconds)

    def pass_to(self, moment: int) -> None:
        """The next block is of this second, and here."""
        self.anvil.rpc("evm_setNextBlockTimestamp", moment)
        self.anvil.rpc("evm_mine")

    async def committees(self, connection: Connection, query: Query) -> DrawnCommittees:
        """Who was drawn."""
        block = await connection.block(BlockNumber(query.seed_block))
        market = self.deployment.market
        vault = Contracts(connection).vault
        return await drawn_committees(vault, CHAIN_ID, market, query, block.hash, "latest")


def works(network: Network, committees: DrawnCommittees, position: int | None = None) -> list[Work]:
    """What honest committees did; with `position` that prover's work alone."""
    digests = [boundary_digest([edge], [data]) for edge, data in zip(EDGES, TENSORS, strict=True)]
    chosen = slice(None) if position is None else slice(position, position + 1)
    keys = [
        [network.key(network.name_of(seat.signer)) for seat in shard[chosen]]
        for shard in committees.shards
    ]
    query, seed = committees.query, committees.seed_hash
    market = network.deployment.market
    return shard_works(CHAIN_ID, market, query, seed, keys, digests[1:], TENSORS[-1])


def evidence_of(work: Work, report: ShardReport) -> ShardEvidence:
    """What a member shows for a report of `work`."""
    shard = work.context.shard
    return ShardEvidence(
        report.round,
        work.in_digest,
        report.out_digest,
        report.commitments,
        report.results,
        payload=TENSORS[-1] if shard == len(TENSORS) - 2 else b"",
        tensors_in=(TENSORS[shard],),
        tensors_out=(TENSORS[shard + 1],),
    )


def honest_bodies(
    network: Network, committees: DrawnCommittees, absent: Sequence[int] = ()
) -> dict[str, bytes]:
    """The same evidence from every member of a shard, by name."""
    bodies: dict[str, bytes] = {}
    for work, seats in zip(works(network, committees), committees.shards, strict=True):
        body = encode_evidence(evidence_of(work, work.report(absent=absent)))
        bodies |= {network.name_of(seat.signer): body for seat in seats}
    return bodies


def proved_bodies(network: Network, committees: DrawnCommittees) -> dict[str, bytes]:
    """Every prover's own evidence with a proof that the stand-in verifier takes."""
    bodies: dict[str, bytes] = {}
    for position in range(len(committees.shards[0])):
        for shard, work in enumerate(works(network, committees, position)):
            shown = evidence_of(work, work.report())
            proved = replace(shown, proof=true_proof(shard))
            signer = committees.shards[shard][position].signer
            bodies[network.name_of(signer)] = encode_evidence(proved)
    return bodies


def true_proof(shard: int) -> bytes:
    """What the stand-in verifier takes for a proof of the shard's tensors."""
    pairs = list(zip(EDGES, TENSORS, strict=True))[shard : shard + 2]
    values = [int(value) % FIELD for edge, data in pairs for value in edge.decode(data).ravel()]
    return keccak(encode(["uint256[]"], [values]))


@contextlib.asynccontextmanager
async def members(
    network: Network, bodies: dict[str, bytes], shows: dict[str, Show] | None = None
) -> AsyncIterator[None]:
    """All members answer, honestly but for those in `shows`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name in (shows or {}):
            return await (shows or {})[name](request, bodies.get(name, b""))
        if name not in bodies or request.query.get("size") == str(len(bodies[name])):
            await asyncio.sleep(0.1)
            return web.Response(status=404)
        return web.Response(body=bodies[name])

    app = web.Application()
    app.router.add_get("/{name}/v1/evidence/{query}/{attempt}/{shard}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", network.port, reuse_port=True).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def build(anvil: Anvil) -> Network:
    """Deploy everything and seat everybody; the first epoch of all seats has begun.

    From then on every block is a second after the one before, whatever a clock says.
    """
    deployed = await _deployed(anvil)
    async with await Connection.open(anvil.url, deployed, QUICK) as connection:
        contracts = Contracts(connection)
        for naming in NAMINGS:
            named = getattr(contracts, naming.name)
            call = named.call(naming.function, getattr(deployed, naming.told))
            await Sender(connection, development_account(0)).send(call)
        developer = Sender(connection, development_account(1))
        version = await _registered(contracts, developer, 1, None)
        verifier = await _verifier(anvil)
        proved = await _registered(contracts, developer, 2, verifier)
        network = Network(anvil, deployed, version, proved)
        await _seat_everybody(network, connection)
    network.pass_time(EPOCH + 1)
    # A turn to report is a few seconds: a machine that stalls must not miss it.
    anvil.rpc("anvil_setBlockTimestampInterval", 1)
    return network


async def _deployed(anvil: Anvil) -> Deployment:
    deployer = Address(development_account(0).address)
    accounts = Accounts(deployer, deployer, deployer, deployer)
    at: dict[str, Address] = {}
    for step in STEPS:
        (source,) = (ROOT / "contracts").glob(f"*/{step.contract}.vy")
        entries = interface(step.contract).entries
        shapes = [entry["inputs"] for entry in entries if entry["type"] == "constructor"]
        shape: list[Any] = shapes[0] if shapes else []
        arguments = encode([_type_of(one) for one in shape], step.arguments(DEVNET, accounts, at))
        code = creation_code(str(source.relative_to(ROOT)))
        at[step.name] = await created(anvil, deployer, code + arguments)
    return deployment(CHAIN_ID, BlockNumber(1), at)


def _type_of(argument: Any) -> str:
    if argument["type"] != "tuple":
        return str(argument["type"])
    return f"({','.join(_type_of(one) for one in argument['components'])})"


async def created(anvil: Anvil, sender: Address, code: bytes) -> Address:
    """Address of a new contract."""
    transaction = {"from": sender, "data": f"0x{code.hex()}", "gas": hex(12_000_000)}
    tx_hash = anvil.rpc("eth_sendTransaction", transaction)
    while (receipt := anvil.rpc("eth_getTransactionReceipt", tx_hash)) is None:
        await asyncio.sleep(0.005)
    assert receipt["status"] == "0x1", f"{len(code)} bytes of creation code were refused"
    return Address(receipt["contractAddress"])


async def _verifier(anvil: Anvil) -> tuple[Address, Digest]:
    deployer = Address(development_account(0).address)
    code = creation_code("tests/contracts/harness/StubVerifier.vy") + encode(["uint256"], [1])
    address = await created(anvil, deployer, code)
    return address, Digest(keccak(hexstr=anvil.rpc("eth_getCode", address, "latest")))


async def _registered(
    contracts: Contracts, developer: Sender, number: int, verifier: tuple[Address, Digest] | None
) -> VersionId:
    circuit = (bytes([number]) * 32, verifier[1]) if verifier else (ZERO_DIGEST, ZERO_DIGEST)
    shards = [
        ShardFacts((into,), (out,), ZERO_DIGEST, *map(Digest, circuit)).as_abi()
        for into, out in itertools.pairwise(EDGES)
    ]
    registry = contracts.registry
    verifiers = [verifier[0]] * len(shards) if verifier else []
    head = ("model", "https://example.org", bytes([number]) * 32, b"\2" * 32)
    terms = (ONE_NES, 5 * ONE_NES, 1_000, ZERO_ADDRESS)
    call = registry.call("register", *head, shards, verifiers, *terms)
    receipt = await developer.send(call)
    version = VersionId(receipt.logs[0].topics[1])
    for shard in range(len(shards) if verifier else 0):
        values = (TENSORS[shard], TENSORS[shard + 1], true_proof(shard))
        await developer.send(registry.call("prove_corner", version, shard, *values))
    return version


async def _seat_everybody(network: Network, connection: Connection) -> None:
    bank = Sender(connection, development_account(0))
    token = Contracts(connection).token
    for name in network.operators.names:
        owner: LocalAccount = Account.from_key(keccak(text=f"owner of {name}"))
        for account in (owner.address, operator_key(name).address):
            network.anvil.rpc("anvil_setBalance", account, hex(10**20))
        stake = Amount(2 * DEVNET.limits.seat_stake)
        await bank.send(token.transfer(Address(owner.address), stake))
        await _seat(network, Sender(connection, owner), name, Contracts(connection), stake)


async def _seat(
    network: Network, sender: Sender, name: str, contracts: Contracts, stake: Amount
) -> None:
    vault, key = contracts.vault, network.key(name)
    consent = sign_consent(key, network.deployment.chain_id, vault.address, sender.address)
    signer = Address(operator_key(name).address)
    calls: list[ContractCall] = [
        contracts.token.approve(vault.address, stake),
        vault.register_operator(signer, consent, keccak(text=name), network.endpoint(name)),
        vault.deposit(stake),
    ]
    for call in calls:
        await sender.send(call)
    if name in network.operators.oracles:
        await sender.send(vault.take_seat(*ORACLE_SEATS))
        return
    shard = next(i for i, names in enumerate(network.operators.shards) if name in names)
    for version in (network.version_id, network.proved_id):
        facts = await contracts.registry.shard(version, shard, "latest")
        circuit = (facts.circuit_digest, facts.verifier_code_hash)
        await sender.send(vault.take_seat(version, shard, *circuit))


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait until `condition` holds."""
    limit = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < limit, "it did not happen in time"
        await asyncio.sleep(0.05)
