"""What of a query's plain text a network's processes keep."""

from __future__ import annotations

import numpy as np

from nesa.cli.demo.leaks import find, spellings
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


async def asked(
    client: Client, devnet: Devnet, plain: CompiledModel, held: UserKey, name: str, row: np.ndarray
) -> Answer:
    """The answer to a row of features by way of a model under a key; equal to the plain one's, and
    neither row, key nor a plain answer of some length is on the chain, in a file of the network's,
    or in a miner's journal or memory."""
    whole = plain.card.quantise_input(row)
    data = plain.input_edge.encode(whole)
    (expected,) = run(plain.table, [data])
    answer = await client.ask(name, row, privacy=Equivariant(held, sealed=False))
    assert plain.output_edge.encode(answer.output.integers) == expected
    traces = await Traces.of(client, devnet, devnet.layout.root)
    assert not traces.places_of_key(held.key.seed)
    assert not traces.places_of(data, plain.input_edge)
    if len(expected) >= FEW_BYTES:
        assert not traces.places_of(expected, plain.output_edge)
    # The search finds what is there: the encoded input travels in the open.
    encoded = held.encode_input(whole)
    sent = plain.input_edge.encode(encoded)
    for kept in (traces.closed, traces.opened):
        assert find(spellings(sent, encoded), kept)
    assert find(calculated(sent, encoded), traces.memory)
    return answer
