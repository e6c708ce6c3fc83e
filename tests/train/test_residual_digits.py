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
from nesa.models.description import read_description
from nesa.models.runtime import session
from scripts import train_residual_digits as residual
from scripts.training import train, write_float_model

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def rows():
    return residual.data()


@pytest.fixture(scope="module")
def trained(rows):
    return train(residual.network, rows, residual.TRAINING)


@pytest.fixture(scope="module")
def folder(trained, rows, tmp_path_factory):
    """The files that the script writes."""
    path = tmp_path_factory.mktemp("residual-digits")
    write_float_model(trained, rows, path)
    return path


def test_the_file_computes_what_the_network_computes(trained, rows, folder):
    runner = session((folder / "model.onnx").read_bytes())
    name = runner.get_inputs()[0].name
    own = (rows.test_features / 16).astype(np.float32)
    exported = [runner.run(None, {name: row[None]})[0][0] for row in own[:50]]
    with torch.no_grad():
        expected = trained(torch.from_numpy(own[:50])).numpy()
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
    words = read_description(folder / "words.json")
    assert data.calibration.shape == rows.train.shape
    assert data.test.labels is not None
    assert len(data.test.features) == len(data.test.labels) == len(rows.test_labels)
    assert len(words.features) == 64


def test_compiled_it_reads_more_than_97_of_100_digits(folder):
    """Measured: 0.998 before and after."""
    compiled, layers = compiling.compile_from_files(
        (folder / "model.onnx").read_bytes(),
        compiling.read_data(folder / "data.npz"),
        read_description(folder / "words.json"),
        compiling.Plan(shards=3),
    )
    accuracy = compiled.classifier.accuracy
    assert accuracy.test_rows == 540
    assert min(accuracy.float_model, accuracy.integer_model) > 0.97
    assert len(compiled.shards) == 3
    assert len(layers) > 15
