"""What passes of queries to one version is as long for every input: nothing has to be padded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from eth_keys.datatypes import PrivateKey

from nesa.models.folder import load
from nesa.privacy.battery.recording import record
from nesa.privacy.battery.sealed import SealedNetwork
from nesa.privacy.grants import Granted, encode_grant, grant_view
from nesa.privacy.keys import generate_key, public_bytes
from nesa.privacy.split.parts import split
from nesa.privacy.split.running import SplitRunner
from nesa.protocol.ids import Address, QueryId

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module", params=["breast-cancer-mlp", "digits-cnn"])
def model(request):
    return load(MODELS / request.param)


@pytest.fixture(scope="module")
def inputs(model):
    """The lowest, the highest, none, and drawn ones."""
    edge, draws = model.input_edge, np.random.default_rng(1)
    alike = [np.full(edge.shape, value) for value in (edge.low, edge.high, 0)]
    drawn = [draws.integers(edge.low, edge.high + 1, edge.shape) for _ in range(3)]
    return tuple(map(edge.encode, (*alike, *drawn)))


def test_whatever_is_sealed(model, inputs):
    network = SealedNetwork(model, np.random.default_rng(2))
    passed = [network.passed(number, one) for number, one in enumerate(inputs)]
    lengths = {
        tuple(map(len, (*each.keys, *each.handed, *each.digests, each.request, each.answer)))
        for each in passed
    }
    assert len(lengths) == 1
    assert len(passed[0].handed) == len(model.shards) - 1 > 0


def test_whatever_groups_are_sent_and_say(model, inputs):
    told = record(model.table, [0], inputs, 1)
    assert len(told.counts) == 6
    assert all(len(set(numbers)) == 1 for numbers in told.counts.values())
    for parts in (told.seeds, *told.others.values()):
        assert len({len(each) for each in parts}) == 1


def test_what_leaves_a_client_that_runs_the_first_layers(model, inputs):
    runner = SplitRunner(split(model.table, 2, len(model.table.rows) - 1))
    assert len({len(runner.begin([one]).sent) for one in inputs}) == 1


def test_a_grant():
    granted, client = Granted(31337, Address("0x" + "11" * 20), QueryId(1)), PrivateKey(b"\1" * 32)
    grants = [
        encode_grant(grant_view(key, granted, public_bytes(generate_key()), client))
        for key in (bytes(32), b"\xff" * 32, bytes(range(32)))
    ]
    assert len({len(each) for each in grants}) == 1
