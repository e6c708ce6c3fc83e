"""What of a query's plain text a network's processes keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nesa.cli.demo.leaks import find
from nesa.client.answers import Answer
from nesa.client.client import Client
from nesa.client.modes import Equivariant
from nesa.devnet.network import Devnet
from nesa.models.folder import CompiledModel
from nesa.models.reference import run
from nesa.privacy.equivariant.user_keys import UserKey
from tests.end_to_end.insides import Traces, calculated

FEW_BYTES = 16
"""An answer of fewer bytes stands in some file or other by chance."""


def files_with(folder: Path, needles: Sequence[bytes]) -> Iterator[str]:
    """Files below a folder, databases and logs among them, that hold one of some byte strings."""
    for path in folder.rglob("*"):
        if path.is_file() and any(needle in path.read_bytes() for needle in needles):
            yield str(path.relative_to(folder))


async def asked(
    client: Client, devnet: Devnet, plain: CompiledModel, held: UserKey, name: str, row: np.ndarray
) -> Answer:
    """The answer to a row of features by way of a model under a key; equal to the plain one's, and
    neither row, key nor a plain answer of some length is in the request or in a file of the
    network's; nor is the row in a miner's journal or memory."""
    whole = plain.card.quantise_input(row)
    data = plain.input_edge.encode(whole)
    (expected,) = run(plain.table, [data])
    submitted = await client.submit(name, row, privacy=Equivariant(held, sealed=False))
    answer = await client.result(submitted)
    assert plain.output_edge.encode(answer.output.integers) == expected
    sent = await client.connection.request(
        "eth_getTransactionByHash", f"0x{submitted.tx_hash.hex()}"
    )
    secrets = [data, held.key.seed]
    if len(expected) >= FEW_BYTES:
        secrets.append(expected)
    assert not [one for one in secrets if one.hex() in sent["input"]]
    needles = [*secrets, *(one.hex().encode() for one in secrets)]
    assert not list(files_with(devnet.layout.root, needles))
    traces, edge = await Traces.of(client, devnet), plain.input_edge
    assert not traces.places_of(data, edge), "no journal, opened, and no memory has the row"
    encoded = edge.encode(held.encode_input(whole))
    assert find(calculated(encoded, edge.decode(encoded)), traces.memory), (
        "what is encoded is there"
    )
    return answer
