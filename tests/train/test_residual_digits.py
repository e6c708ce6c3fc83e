"""The residual network learns the digits, and its export is what a compiler has to cope with."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("sklearn", reason="needs requirements/train.lock")

import torch

from nesa.cli import compiling
from nesa.models.runtime import session
from scripts import train_digits
from scripts import train_residual_digits as residual
from scripts.training import float_accuracy, train, write_float_model

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def rows():
    return train_digits.data()


@pytest.fixture(scope="module")
def trained(rows):
    return train(residual.network, rows, residual.TRAINING)


@pytest.fixture(scope="module")
def folder(trained, rows, tmp_path_factory):
    """The files that the script writes."""
    path = tmp_path_factory.mktemp("residual-digits")
    write_float_model(trained, rows, residual.subject(), path)
    return path


def test_more_than_97_of_100_digits_are_read(trained, rows):
    """Measured: 0.998."""
    assert float_accuracy(trained, rows) > 0.97


def test_the_file_computes_what_the_network_computes(trained, rows, folder):
    runner = session((folder / "model.onnx").read_bytes())
    name = runner.get_inputs()[0].name
    exported = [runner.run(None, {name: row[None]})[0][0] for row in rows.test[:50]]
    with torch.no_grad():
        expected = trained(torch.from_numpy(rows.test[:50])).numpy()
    assert np.allclose(exported, expected, atol=1e-4)


def test_the_file_holds_what_larger_networks_are_made_of(folder):
    nodes = onnx.load(folder / "model.onnx").graph.node
    kinds = Counter(node.op_type for node in nodes)
    assert kinds["BatchNormalization"] == kinds["Conv"] == 8
    assert kinds["Add"] == 2
    assert {"AveragePool", "Concat", "MaxPool", "Resize", "Sigmoid"} <= kinds.keys()
    groups = [a.i for node in nodes for a in node.attribute if a.name == "group"]
    assert sorted(set(groups)) == [1, residual.STEM, residual.JOINED]


def test_the_command_line_can_read_data_and_words(rows, folder):
    data = compiling.read_data(folder / "data.npz")
    words = compiling.read_description(folder / "words.json")
    assert data.calibration.shape == rows.train.shape
    assert len(data.features) == len(data.labels) == len(rows.test_labels)
    assert len(words.features) == 64
