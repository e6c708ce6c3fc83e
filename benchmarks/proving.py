"""Proofs of the committed models as one table in markdown: `python -m benchmarks.proving`.

A prove is the whole of `Prover.prove`: it starts the processes, runs the witness, proves, and
checks the proof. Every shard is measured in a process of its own, so that the peak of memory is
that shard's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import pyrevm
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.types import TxParams, Wei

from nesa.chain.anvil import running_anvil
from nesa.models.folder import CompiledModel, load
from nesa.models.proving.artefacts import ProvableShard, read_provable_shard
from nesa.models.proving.building import corner_tensors
from nesa.models.proving.circuits import set_up_into, working_folder, write_sources
from nesa.models.proving.keys import provide_keys
from nesa.models.proving.process import DEFAULT_LIMITS
from nesa.models.proving.prover import Prover
from nesa.models.proving.verifier import call_data, runtime_of
from nesa.models.runtime import ShardRunner
from tests.revm import RevmChain

ROOT: Final = Path(__file__).parents[1]
MODELS: Final = ROOT / "models"
CACHE: Final = ROOT / ".cache" / "proving"
RESULTS: Final = Path(__file__).parent / "results" / "proving.md"

CALLER: Final = "0x" + "11" * 20
VERIFY_TYPES: Final = ("address", "bytes32", "bytes32", "bytes", "bytes", "bytes")
VERIFY: Final = keccak(text=f"verify({','.join(VERIFY_TYPES)})")[:4]
GAS: Final = 10_000_000
RUNTIME_CALLS: Final = 2000
MEBIBYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one shard: bytes, seconds (medians), gas of a transaction."""

    rows: int
    instances: int
    set_up: float
    prove: float
    prove_cpu: float
    peak_memory: int
    key: int
    proof: int
    verifier: int
    gas_revm: int
    gas_router: int
    gas_anvil: int
    witness: float
    runtime: float


async def timed(runs: int, call: Callable[[], Awaitable[object]]) -> float:
    """Median seconds of `runs` calls."""
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - start)
    return median(taken)


async def figures(name: str, number: int, runs: int) -> Figures:
    """Everything that the table says of one shard. Its proving key must be in the cache."""
    model = load(MODELS / name)
    shard = read_provable_shard(MODELS / name, model, number)
    prover = await Prover.open(shard.circuit, CACHE)
    given, computed = corner_tensors(prover)
    row = shard.circuit.source.edge.decode(given).reshape(-1).tolist()
    before = cpu_of_children()
    prove = await timed(runs, lambda: prover.prove(given, computed))
    used, peak = (cpu_of_children() - before) / runs, peak_of_children()
    return Figures(
        rows=json.loads(shard.circuit.settings)["num_rows"],
        instances=shard.circuit.instances,
        set_up=await timed(1, lambda: set_up(prover)),
        prove=prove,
        prove_cpu=used,
        peak_memory=peak,
        key=prover.keys.proving_key.stat().st_size,
        proof=shard.proof_bytes,
        verifier=len(runtime_of(shard.creation)),
        gas_revm=gas_in_revm(shard),
        gas_router=gas_through_router(shard),
        gas_anvil=gas_on_anvil(shard),
        witness=await timed(runs, lambda: prover.witness(row)),
        runtime=seconds_in_onnx_runtime(model, number, given),
    )


async def set_up(prover: Prover) -> None:
    """Makes the keys once more and drops them."""
    with working_folder(CACHE) as folder:
        write_sources(prover.circuit, folder)
        (folder / "circuit.compiled").symlink_to(prover.keys.compiled.resolve())
        await set_up_into(folder, prover.circuit.reference, DEFAULT_LIMITS)


def cpu_of_children() -> float:
    """Seconds of processor time of all ended children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_of_children() -> int:
    """Bytes of the largest child so far."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def gas_in_revm(shard: ProvableShard) -> int:
    """Gas of a transaction that sends the corner proof straight to the verifier."""
    evm = pyrevm.EVM(spec_id="PRAGUE", gas_limit=2**40)
    evm.set_balance(CALLER, 10**24)
    address = evm.deploy(deployer=CALLER, code=shard.creation)
    evm.message_call(caller=CALLER, to=address, calldata=call_data(shard.corner_proof), gas=GAS)
    assert evm.result is not None
    return int(evm.result.gas_used)


def gas_through_router(shard: ProvableShard) -> int:
    """Gas of a transaction that sends the same proof to the proof router."""
    chain = RevmChain()
    verifier = chain.evm.deploy(deployer=CALLER, code=shard.creation)
    router = chain.deploy("contracts/verification/ProofRouter")
    edges = (shard.circuit.source.pack(), shard.circuit.result.pack())
    corner = shard.corner
    asked = [verifier, *edges, corner.input, corner.output, corner.proof]
    chain.cool()
    chain.send(CALLER, router.address, VERIFY + encode(list(VERIFY_TYPES), asked))
    return int(chain.gas_used)


def gas_on_anvil(shard: ProvableShard) -> int:
    """The same transaction on anvil, by its receipt."""
    with running_anvil() as anvil:
        chain = Web3(HTTPProvider(anvil.url))
        sender = chain.eth.accounts[0]
        creation: TxParams = {"from": sender, "data": HexBytes(shard.creation), "gas": Wei(GAS)}
        deployed = chain.eth.wait_for_transaction_receipt(chain.eth.send_transaction(creation))
        verifier = deployed["contractAddress"]
        assert verifier is not None
        data = HexBytes(call_data(shard.corner_proof))
        call: TxParams = {"from": sender, "to": verifier, "data": data, "gas": Wei(GAS)}
        receipt = chain.eth.wait_for_transaction_receipt(chain.eth.send_transaction(call))
    if receipt["status"] != 1:
        raise RuntimeError("anvil refused the corner proof")
    return int(receipt["gasUsed"])


def seconds_in_onnx_runtime(model: CompiledModel, number: int, given: bytes) -> float:
    """Median seconds of the shard in ONNX Runtime, canonical bytes in and out."""
    runner = ShardRunner(model.shard_file(number), model.shards[number])
    taken = []
    for _ in range(RUNTIME_CALLS):
        start = time.perf_counter()
        runner.run((given,))
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def measure(name: str, number: int, runs: int) -> Figures:
    """`figures` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.proving", "--shard", name, str(number)]
    done = subprocess.run(
        [*command, "--runs", str(runs)], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def table(measured: dict[str, Figures], runs: int) -> str:
    """The page that is kept."""
    head = [
        f"Median of {runs} proofs of each shard's corner vector; {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, ezkl 23.0.5, k = 15, inputs and outputs public or "
        "(hashed) Poseidon of them and a blind but for the answer, the development only reference "
        "string. Osaka, on anvil, prices modular exponentiation "
        "higher than Prague, on revm; a verifier does it three times. Load average over the last "
        f"15 minutes: {os.getloadavg()[2]:.1f}; compare times by the processor column unless it is "
        "small.",
        "",
        "| shard | rows | instances | set-up | prove | processor | peak memory | proving key "
        "| proof | verifier (limit 24,576) | gas at Osaka prices (Prague) "
        "| through the router (Prague) | ezkl witness | ONNX Runtime |",
        "|---|" + "---:|" * 13,
    ]
    return "\n".join([*head, *(line(name, found) for name, found in measured.items())]) + "\n"


def line(name: str, found: Figures) -> str:
    """One row of the table."""
    cells = [
        name,
        f"{found.rows:,}",
        f"{found.instances}",
        f"{found.set_up:.1f} s",
        f"{found.prove:.1f} s",
        f"{found.prove_cpu:.1f} s",
        f"{found.peak_memory / MEBIBYTE:.0f} MiB",
        f"{found.key / MEBIBYTE:.0f} MiB",
        f"{found.proof:,} B",
        f"{found.verifier:,} B",
        f"{found.gas_anvil:,} ({found.gas_revm:,})",
        f"{found.gas_router:,}, × {found.gas_router / found.gas_revm:.3f}",
        f"{found.witness * 1e3:.0f} ms",
        f"{found.runtime * 1e6:.0f} us",
    ]
    return "| " + " | ".join(cells) + " |"


def provable_shards() -> list[tuple[str, int]]:
    """Every shard of the committed models that has a circuit."""
    found = []
    for folder in sorted(path.parent for path in MODELS.glob("**/model.json")):
        shards, name = load(folder).shards, str(folder.relative_to(MODELS))
        found += [(name, n) for n, facts in enumerate(shards) if any(facts.circuit_digest)]
    return found


def measure_all(runs: int) -> str:
    """The page over every provable shard."""
    measured = {}
    for name, number in provable_shards():
        shard = read_provable_shard(MODELS / name, load(MODELS / name), number)
        asyncio.run(provide_keys(shard.circuit, CACHE))
        measured[f"{name} {number}"] = measure(name, number, runs)
    return table(measured, runs)


def main() -> None:
    """Measures one shard as JSON, or all of them as the page that is kept."""
    parser = argparse.ArgumentParser(description="Measures proofs of the committed models.")
    parser.add_argument("--runs", type=int, default=5, help="proofs of each shard")
    parser.add_argument("--shard", nargs=2, metavar=("MODEL", "NUMBER"))
    arguments = parser.parse_args()
    if arguments.shard:
        name, number = arguments.shard
        print(json.dumps(asdict(asyncio.run(figures(name, int(number), arguments.runs)))))
        return
    page = measure_all(arguments.runs)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(page)
    print(page, end="")


if __name__ == "__main__":
    main()
