"""Measures a provable model's accuracy from proofs that the chain verified.

    python -m scripts.prove_test_rows models/breast-cancer-mlp --rows 40

Proves evenly chosen test rows through every shard, lets the registered verifiers judge each proof
on a development chain, and writes the share of right answers into the model card. The version
root changes with it.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.types import TxParams, Wei

from nesa.chain.anvil import running_anvil
from nesa.models.folder import CompiledModel, load, save
from nesa.models.proving.artefacts import ProvableShard, read_provable_shard
from nesa.models.proving.proofs import Proof
from nesa.models.proving.prover import Prover
from nesa.models.proving.verifier import call_data
from nesa.models.runtime import ShardRunner

CACHE: Final = Path(__file__).parents[1] / ".cache" / "proving"
GAS: Final = Wei(10_000_000)
TRUE: Final = (1).to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Link:
    """One shard of the chain of proofs: it computes, proves, and knows its verifier's address."""

    runner: ShardRunner
    prover: Prover
    verifier: str


class Chain:
    """A development chain with the verifiers on it."""

    def __init__(self, url: str) -> None:
        self._web3 = Web3(HTTPProvider(url))
        self._sender = self._web3.eth.accounts[0]

    def deploy(self, shard: ProvableShard) -> str:
        """Address of the shard's verifier."""
        creation: TxParams = {"from": self._sender, "data": HexBytes(shard.creation), "gas": GAS}
        sent = self._web3.eth.send_transaction(creation)
        address = self._web3.eth.wait_for_transaction_receipt(sent)["contractAddress"]
        assert address is not None
        return str(address)

    def accepts(self, verifier: str, proof: Proof) -> bool:
        """Whether the verifier says yes."""
        call: TxParams = {"to": verifier, "data": HexBytes(call_data(proof)), "gas": GAS}
        return bytes(self._web3.eth.call(call)) == TRUE


def evenly(count: int, wanted: int) -> list[int]:
    """`wanted` indices spread over `count` rows, all of them when there are fewer."""
    chosen = min(wanted, count)
    return [index * count // chosen for index in range(chosen)]


async def prove_row(chain: Chain, links: Sequence[Link], tensor: bytes) -> bytes:
    """The output that the proofs of all shards speak of.

    Raises:
        ValueError: a verifier refused a proof.
    """
    for number, link in enumerate(links):
        (result,) = link.runner.run((tensor,))
        proof = await link.prover.prove(tensor, result)
        if not chain.accepts(link.verifier, proof):
            raise ValueError(f"the verifier of shard {number} refused a proof")
        tensor = result
    return tensor


async def links_of(chain: Chain, folder: Path, model: CompiledModel) -> list[Link]:
    """Everything that proves and judges, shard by shard."""
    links = []
    for number, facts in enumerate(model.shards):
        shard = read_provable_shard(folder, model, number)
        prover = await Prover.open(shard.circuit, CACHE)
        runner = ShardRunner(model.shard_file(number), facts)
        links.append(Link(runner, prover, chain.deploy(shard)))
    return links


async def proved_accuracy(folder: Path, model: CompiledModel, wanted: int) -> tuple[int, float]:
    """How many rows were proved, and the share of right answers among them."""
    rows = model.test_rows()
    chosen = evenly(len(rows.labels), wanted)
    right = 0
    with running_anvil() as anvil:
        chain = Chain(anvil.url)
        links = await links_of(chain, folder, model)
        for done, row in enumerate(chosen, 1):
            tensor = model.input_edge.encode(np.asarray(rows.inputs[row]))
            logits = model.output_edge.decode(await prove_row(chain, links, tensor))
            right += int(logits.reshape(-1).argmax()) == int(rows.labels[row])
            print(f"{model.name}: {right} of {done} right", flush=True)
    return len(chosen), right / len(chosen)


def main() -> None:
    """Measure one model and write its card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of the compiled model")
    parser.add_argument("--rows", type=int, default=40, help="test rows to prove")
    chosen = parser.parse_args()
    model = load(chosen.folder)
    count, share = asyncio.run(proved_accuracy(chosen.folder, model, chosen.rows))
    accuracy = model.classifier.accuracy.model_copy(update={"proved_rows": count, "proved": share})
    card = model.card.model_copy(update={"accuracy": accuracy})
    save(replace(model, card=card), chosen.folder)
    print(f"{model.name}: {share:.4f} of {count} proved rows")


if __name__ == "__main__":
    main()
